"""The contract of all connectors.

A connector is built from the backbone's config, its Q-Former (looked at, never kept) and the
switches. It gets a :class:`ClipBatch` and gives :class:`Visual` tokens. It says of itself how many
tokens a clip has, whether they are of the Q-Former's width (then the frozen projection follows) or
the LLM's own, whether it needs pixels, whether the frozen Q-Former gets LoRA pairs, and where the
idea comes from. What it trains whole are its :class:`TrainedWhole` parts: nothing else of it, and
nothing of the ViT, the Q-Former or the LLM changes.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from torch import Tensor, nn

from mtrans.core.errors import SettingsError
from mtrans.core.settings import ModelSettings
from mtrans.models.dropping import take_over_dropout
from mtrans.models.routing import LayerRouting
from mtrans.models.rules import query_count

HEAD_WIDTH = 8
"""Widths of new attention are multiples of it, so that a budget can be met with whole heads."""


Dial: TypeAlias = Literal["lora.rank", "model.width"]


@dataclass(frozen=True, kw_only=True)
class ClipBatch:
    """Clips as a connector gets them; the frozen parts come along at each call.

    Attributes:
        qformer: transformers' pretrained Q-Former, with LoRA pairs where the connector has them.
        query_tokens: float[1, Q, C].
        patches: float[B, T, P, Cv]; without content for a connector that needs pixels.
        times: float[B, T] in seconds.
        frame_mask: bool[B, T], False where a frame is padding; padding stands at the end.
        input_ids: int[B, L] text of the Q-Former, or None.
        attention_mask: [B, L], 0 where text is padding, or None.
        patch_mask: bool[B, T, P], False where a patch is not to be looked at; None shows all.
        pixels: float[N, T, 3, H, W], each of the N clips once, for a connector that needs them.
        pixel_mask: bool[N, T], as `frame_mask` of those.
        clip_rows: int[B], which of the N clips a row asks about; None where B is N.
        vision: The frozen ViT, for a connector that needs pixels.
    """

    qformer: Any
    query_tokens: Tensor
    patches: Tensor
    times: Tensor
    frame_mask: Tensor
    input_ids: Tensor | None = None
    attention_mask: Tensor | None = None
    patch_mask: Tensor | None = None
    pixels: Tensor | None = None
    pixel_mask: Tensor | None = None
    clip_rows: Tensor | None = None
    vision: Any = None

    def but(self, **changes: Any) -> ClipBatch:
        """Returns the batch with some entries replaced."""
        return dataclasses.replace(self, **changes)


class Visual(NamedTuple):
    """What a connector gives.

    Attributes:
        tokens: float[B, K, C] or float[B, K, D].
        mask: bool[B, K], False where a token stands for padding; these come last. None has none.
        routing: Routing probabilities of each layer, where there is routing.
    """

    tokens: Tensor
    mask: Tensor | None = None
    routing: list[LayerRouting] | None = None


class Connector(nn.Module):
    """Base of all connectors.

    Args:
        config: The InstructBLIP or BLIP-2 config.
        qformer: transformers' pretrained Q-Former, to read sizes and structure from; it gets
            the dropout of :mod:`mtrans.models.dropping`.
        settings: The switches.
    """

    about: ClassVar[str]
    """The idea, in a few words."""

    source: ClassVar[str]
    """Where it comes from: name, venue, year."""

    tokens_in: ClassVar[Literal["qformer", "llm"]] = "qformer"
    """Width of its tokens: the Q-Former's `C`, which the frozen projection maps, or the LLM's."""

    needs_pixels: ClassVar[bool] = False
    """Whether it works inside the ViT, so that features can't be cached."""

    multiplies_patches: ClassVar[bool] = False
    """Whether patches meet nothing before a product of matrices: they may come in its type then;
    others get them in the type of what they add to them."""

    has_lora: ClassVar[bool] = False
    """Whether the Q-Former's attention gets LoRA pairs (`lora.*`)."""

    dial: ClassVar[Dial] = "model.width"
    """Setting that `model.budget` turns to reach its number of trained parameters."""

    answers_itself: ClassVar[bool] = False
    """Whether it has a classifier in place of the LLM; then its base is `AnswerHead`."""

    width_step: ClassVar[int] = 1
    """What `model.width` must be a multiple of."""

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__()
        take_over_dropout(qformer)
        self.settings = settings
        self.queries = query_count(config, settings)
        self.qformer_width = int(config.qformer_config.hidden_size)
        self.vision_width = int(config.vision_config.hidden_size)
        self.llm_width = int(config.text_config.hidden_size)
        vision = config.vision_config
        self.grid = int(vision.image_size) // int(vision.patch_size)

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` of a clip of so many frames."""
        return self.queries

    def forward(self, clips: ClipBatch) -> Visual:
        """Makes visual tokens.

        Args:
            clips: The batch.

        Returns:
            Tokens of a clip, the same whether or not it was padded.
        """
        raise NotImplementedError

    def width_or(self, default: int) -> int:
        """Inner width of what is new: `model.width`, or the design's own."""
        return self.settings.width or default


def heads_of(width: int) -> int:
    """Attention heads of a new module.

    Raises:
        SettingsError: The width can't be shared by whole heads.
    """
    if width % HEAD_WIDTH:
        raise SettingsError(f"model.width={width}: wanted a multiple of {HEAD_WIDTH}")
    return math.gcd(width // HEAD_WIDTH, 8)
