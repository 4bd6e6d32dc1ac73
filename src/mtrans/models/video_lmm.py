"""The assembled model. Start reading here.

::

    pixels[B,T,3,H,W] -encode_frames-> patches[B,T,P,Cv]        frozen ViT, no gradient, cacheable
      -encode_video-> tokens[B,K,D]                             st_qformer.py, pooling.py
      -forward / generate / score_choices-> LLM reads [K visual tokens][prompt][answer]

Two classes, one per pretrained family; each *is* its transformers class, so published checkpoints
load through `from_pretrained` with their own parameter names. The switches travel in
``config.mtrans``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from transformers import Blip2ForConditionalGeneration, InstructBlipForConditionalGeneration
from transformers.utils import ModelOutput

from mtrans.core.errors import SettingsError
from mtrans.core.settings import ModelSettings, settings_from_dict
from mtrans.models.answering import AnsweringMixin
from mtrans.models.frozen import hold_still, is_frozen
from mtrans.models.inputs import ModelInputs
from mtrans.models.pooling import AttentionPool
from mtrans.models.routing import Router
from mtrans.models.scoring import ScoringMixin
from mtrans.models.st_qformer import LayerRouting, SpatialTemporalQFormer
from mtrans.models.temporal import AbsolutePosition, RelativePosition, SharedLinear, TemporalGate

NEW_MODULES = (Router, AttentionPool, AbsolutePosition, RelativePosition, TemporalGate)


@dataclass
class VideoLMMOutput(ModelOutput):
    """What `forward` gives.

    Attributes:
        loss: Mean cross-entropy over the answer tokens, where labels were given.
        logits: float[B, S, V] (decoder-only; with labels only if ``all_logits``), or the decoder's.
        visual_tokens: float[B, K, D].
        routing: Routing probabilities of each layer.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    visual_tokens: Tensor | None = None
    routing: list[LayerRouting] | None = None


def settings_to_config(settings: ModelSettings) -> dict[str, Any]:
    """Switches as JSON types, for ``config.mtrans``."""
    plain = dataclasses.asdict(settings)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}


def settings_from_config(data: Mapping[str, Any]) -> ModelSettings:
    """Inverse of :func:`settings_to_config`.

    Raises:
        SettingsError: Unknown key or wrong value.
    """
    return settings_from_dict({"model": dict(data)}).model


class VideoLMM(AnsweringMixin, ScoringMixin):
    """What both families share; a mixin in front of the transformers class.

    Args:
        config: The family's transformers config.
        settings: The switches; None takes ``config.mtrans``, or the defaults where it has none.
    """

    _keys_to_ignore_on_load_missing = [r"^st_qformer\."]  # noqa: RUF012 - new by design
    accepts_loss_kwargs = True

    def __init__(
        self, config: Any, settings: ModelSettings | Mapping[str, Any] | None = None, **kwargs: Any
    ):
        super().__init__(config, **kwargs)
        if settings is None:
            settings = getattr(config, "mtrans", None) or {}
        if not isinstance(settings, ModelSettings):
            settings = settings_from_config(settings)
        self.settings = settings
        config.mtrans = settings_to_config(settings)
        self.st_qformer = SpatialTemporalQFormer(
            self.qformer, settings, queries=config.num_query_tokens
        )

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As transformers' own; what is trained is fp32 whatever dtype the frozen part loads in.

        Args:
            *args: Name or folder.
            **kwargs: transformers' own, and `settings` (:class:`ModelSettings`).

        Returns:
            The model (with loading information, where that was asked for).
        """
        loaded = cast(Any, super()).from_pretrained(*args, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded).st_qformer.float()
        return loaded

    def train(self, mode: bool = True) -> Self:
        """As torch's own, but a frozen ViT or LLM drops nothing; the Q-Former follows the mode."""
        super().train(mode)
        if mode:
            for part in (self.vision_model, self.language_model):
                if is_frozen(part):
                    hold_still(part)
        return self

    @property
    def is_gradient_checkpointing(self) -> bool:
        """The name peft still asks for; transformers 5.23 warns of it."""
        return any(getattr(module, "gradient_checkpointing", False) for module in self.modules())

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, NEW_MODULES):
            module.reset_parameters()
        elif not isinstance(module, SharedLinear):  # its owner initialises W
            super()._init_weights(module)

    # ---- vision ------------------------------------------------------------------------------

    @property
    def reads_qformer_text(self) -> bool:
        """Whether text takes part in the Q-Former: early fusion, and a Q-Former that embeds it."""
        return self.settings.fusion == "early" and hasattr(self.qformer, "embeddings")

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` the LLM sees for a clip of so many frames."""
        queries = int(self.config.num_query_tokens)
        return frames * queries if self.settings.pool == "concat" else queries

    def set_routing_temperature(self, temperature: float) -> None:
        """Sets the Gumbel temperature of every router, for annealing."""
        for module in self.modules():
            if isinstance(module, Router):
                module.temperature = temperature

    @torch.no_grad()
    def encode_frames(self, pixel_values: Tensor, *, frames_at_once: int | None = None) -> Tensor:
        """Runs the frozen ViT.

        Args:
            pixel_values: float[B, T, 3, H, W], preprocessed.
            frames_at_once: Frames in one ViT pass, to bound memory; None runs all.

        Returns:
            float[B, T, P, Cv].
        """
        frames = rearrange(pixel_values, "b t c h w -> (b t) c h w")
        parts = [
            self.vision_model(pixel_values=part).last_hidden_state
            for part in frames.split(frames_at_once or len(frames))
        ]
        return rearrange(torch.cat(parts), "(b t) p c -> b t p c", t=pixel_values.shape[1])

    def encode_video(self, inputs: ModelInputs) -> tuple[Tensor, list[LayerRouting]]:
        """From frames to what the LLM sees.

        Args:
            inputs: Clips; prompts are not looked at.

        Returns:
            Visual tokens float[B, K, D], and the routing probabilities of each layer.

        Raises:
            SettingsError: Neither pixels nor features.
        """
        patches = self._patches(inputs)
        batch, frames = patches.shape[:2]
        times, mask = inputs.frame_times, inputs.frame_mask
        if times is None:
            times = repeat(torch.arange(frames, device=patches.device).float(), "t -> b t", b=batch)
        if mask is None:
            mask = torch.ones(batch, frames, dtype=torch.bool, device=patches.device)
        reads = self.reads_qformer_text
        pooled, routing = self.st_qformer(
            self.qformer,
            self.query_tokens,
            patches,
            times=times,
            frame_mask=mask.bool(),
            input_ids=inputs.qformer_input_ids if reads else None,
            attention_mask=inputs.qformer_attention_mask if reads else None,
        )
        return self.language_projection(pooled.to(self._projection_dtype)), routing

    @property
    def _projection_dtype(self) -> torch.dtype:
        dtype = self.language_projection.weight.dtype
        return dtype if dtype.is_floating_point else torch.get_default_dtype()

    def _patches(self, inputs: ModelInputs) -> Tensor:
        """Returns float[B, T, P, Cv]; zeros for the text-only control."""
        pixels, features = inputs.pixel_values, inputs.patch_features
        if features is not None:
            return features if self.settings.vision else torch.zeros_like(features)
        if pixels is None:
            raise SettingsError("neither pixel_values nor patch_features given; pass one of them")
        if self.settings.vision:
            return self.encode_frames(pixels)
        grid = self.vision_model.embeddings  # the control never looks, so the ViT need not run
        return pixels.new_zeros((*pixels.shape[:2], grid.num_positions, grid.embed_dim))

    def forward(
        self,
        *,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        all_logits: bool | None = None,
        **inputs: Any,
    ) -> VideoLMMOutput:
        """Answers a batch of prompts about clips.

        Args:
            labels: int[B, S] with -100 outside the answer; with an encoder-decoder LLM int[B, A].
            num_items_in_batch: Answer tokens in the whole optimizer step, as transformers' Trainer
                gives it: the loss is the sum over it. None takes those of this batch.
            all_logits: Compute logits at all positions; None does so where there are no labels.
            **inputs: Clips and prompts by the names in :class:`ModelInputs`; anything else is for
                the language model.

        Returns:
            Loss, logits, visual tokens, routing.

        Raises:
            SettingsError: No vision input, no prompt, or the wrong number of visual places.
        """
        asked, rest = ModelInputs.split(inputs)
        visual, routing, embeds, seen = self._read(asked)
        decoder_only = self.config.use_decoder_only_language_model
        answer = self._decode if decoder_only else self._encode_decode
        loss, logits = answer(embeds, seen, labels, num_items_in_batch, all_logits, **rest)
        return VideoLMMOutput(loss=loss, logits=logits, visual_tokens=visual, routing=routing)


class VideoInstructBlip(VideoLMM, InstructBlipForConditionalGeneration):  # type: ignore[misc]
    """InstructBLIP over clips; loads any InstructBLIP checkpoint."""


class VideoBlip2(VideoLMM, Blip2ForConditionalGeneration):  # type: ignore[misc]
    """BLIP-2 over clips; loads any BLIP-2 checkpoint. Its Q-Former reads no text."""
