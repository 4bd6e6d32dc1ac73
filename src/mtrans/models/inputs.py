"""What the model is asked with: the one list of a batch's entries, by their names in the batch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from mtrans.core.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """Clips and prompts; keywords of `forward`, `generate` and `score_choices`.

    Attributes:
        pixel_values: float[B, T, 3, H, W], preprocessed; or
        patch_features: float[B, T, P, Cv] as `encode_frames` gives them.
        clip_rows: int[B], for each prompt the row of its frames (and of `frame_times` and
            `frame_mask`), where several prompts share a clip; None has a row for each prompt.
        frame_times: float[B, T] in seconds; None counts frames.
        frame_mask: bool[B, T], False where a frame is padding; None has none.
        qformer_input_ids: int[B, L]; unused without early fusion and by BLIP-2.
        qformer_attention_mask: [B, L], 0 where text is padding; None has no padding.
        input_ids: int[B, S]: K image tokens and prompt; for the loss of a decoder-only LLM the
            answer as well. To generate from, pad decoder-only prompts on the left.
        attention_mask: [B, S], 0 where `input_ids` is padding; None has no padding.
    """

    pixel_values: Tensor | None = None
    patch_features: Tensor | None = None
    clip_rows: Tensor | None = None
    frame_times: Tensor | None = None
    frame_mask: Tensor | None = None
    qformer_input_ids: Tensor | None = None
    qformer_attention_mask: Tensor | None = None
    input_ids: Tensor | None = None
    attention_mask: Tensor | None = None

    @classmethod
    def split(cls, given: dict[str, Any]) -> tuple[ModelInputs, dict[str, Any]]:
        """Parts keywords into those named here and the rest, which is for the language model."""
        own = {f.name for f in fields(cls)}
        rest = {name: value for name, value in given.items() if name not in own}
        return cls(**{n: v for n, v in given.items() if n in own}), rest

    @property
    def prompt(self) -> Tensor:
        """`input_ids`, which whoever asks must give.

        Raises:
            SettingsError: They are not given.
        """
        if self.input_ids is None:
            raise SettingsError("input_ids not given; pass visual places and prompt as token ids")
        return self.input_ids
