"""The assembled model. Start reading here.

::

    pixels[B,T,3,H,W] -encode_frames-> patches[B,T,P,Cv]        frozen ViT, no gradient, cacheable
      -encode_clips-> tokens[B,K,D]             connectors/; `mqt`: st_qformer.py, pooling.py
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
from transformers.initialization import guard_torch_init_functions
from transformers.utils import ModelOutput

from mtrans.core.errors import SettingsError
from mtrans.core.settings import ModelSettings, settings_from_dict
from mtrans.models.answering import AnsweringMixin
from mtrans.models.attention import IMPLEMENTATION
from mtrans.models.connectors import CONNECTORS
from mtrans.models.connectors.base import ClipBatch, Connector, Visual
from mtrans.models.connectors.blocks import FramePosition
from mtrans.models.frozen import hold_still, is_frozen
from mtrans.models.inputs import ModelInputs
from mtrans.models.own_answers import OwnAnswersMixin
from mtrans.models.routing import LayerRouting, Router
from mtrans.models.scoring import ScoringMixin
from mtrans.models.temporal import AbsolutePosition, SharedLinear
from mtrans.models.trained import TrainedWhole

NEW_MODULES = (TrainedWhole,)


@dataclass
class VideoLMMOutput(ModelOutput):
    """What `forward` gives.

    Attributes:
        loss: Mean cross-entropy over the answer tokens, where labels were given.
        logits: float[B, S, V] (decoder-only; with labels only if ``all_logits``), or the decoder's;
            float[B, n] over the known answers where the connector answers by itself.
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


def place_of(settings: ModelSettings) -> str:
    """Name of the connector's module: adapters know that of `mqt` as ``st_qformer``."""
    return "st_qformer" if settings.connector == "mqt" else "connector"


class VideoLMM(AnsweringMixin, ScoringMixin, OwnAnswersMixin):
    """What both families share; a mixin in front of the transformers class.

    Args:
        config: The family's transformers config.
        settings: The switches; None takes ``config.mtrans``, or the defaults where it has none.

    Attributes:
        rounded: What features are rounded to, where products round them anyway; None leaves them.
    """

    rounded: torch.dtype | None = None
    _keys_to_ignore_on_load_missing = [r"^(st_qformer|connector)\."]  # noqa: RUF012 - new by design
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
        if self.vision_model.config._attn_implementation == "sdpa":
            self.vision_model.set_attn_implementation(IMPLEMENTATION)
        made = CONNECTORS.get(settings.connector)(config, self.qformer, settings)
        self.add_module(place_of(settings), made)
        if made.answers_itself and (answers := getattr(config, "mtrans_answers", None)):
            self.set_answers(answers)

    @property
    def connecting(self) -> Connector:
        """The connector, under whichever name it is kept."""
        return cast(Connector, getattr(self, place_of(self.settings)))

    def most_frames(self) -> int | None:
        """Returns how many frames the learned positions have rows for; None where any number is."""
        kinds = (FramePosition, AbsolutePosition)
        rows = [m.frame.shape[0] for m in self.modules() if isinstance(m, kinds)]
        return min(rows, default=None)

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
        (loaded[0] if isinstance(loaded, tuple) else loaded).connecting.float()
        return loaded

    def train(self, mode: bool = True) -> Self:
        """As torch's own, but a frozen ViT, LLM or Q-Former drops nothing.

        A Q-Former with LoRA pairs follows the mode, and so do a connector's own parts.
        """
        super().train(mode)
        if mode:
            for part in (self.vision_model, self.language_model, self.qformer):
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

    def initialize_weights(self) -> None:
        """Starts what was not loaded.

        transformers takes a module without parameters of its own as started, and starts the layers
        inside one by one as any others. So such parts are started here by what they are: an
        adapter's way up, for one, is zero.
        """
        super().initialize_weights()
        with guard_torch_init_functions(), torch.no_grad():  # what was loaded is left alone
            for part in self.modules():
                if isinstance(part, TrainedWhole) and not list(part.parameters(recurse=False)):
                    part.reset_parameters()

    # ---- vision ------------------------------------------------------------------------------

    @property
    def reads_qformer_text(self) -> bool:
        """Whether text takes part in the Q-Former: early fusion, and a Q-Former that embeds it."""
        return self.settings.fusion == "early" and hasattr(self.qformer, "embeddings")

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` the LLM sees for a clip of so many frames."""
        return self.connecting.visual_tokens(frames)

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
            float[B, T, P, Cv], in the type of :attr:`rounded` where there is one.
        """
        frames = rearrange(pixel_values, "b t c h w -> (b t) c h w")
        parts = [
            self.vision_model(pixel_values=part).last_hidden_state
            for part in frames.split(frames_at_once or len(frames))
        ]
        features = rearrange(torch.cat(parts), "(b t) p c -> b t p c", t=pixel_values.shape[1])
        # what multiplies them rounds them; so all get the same, from the cache and from video
        return features if self.rounded is None else features.to(self.rounded)

    def encode_video(self, inputs: ModelInputs) -> tuple[Tensor, list[LayerRouting]]:
        """From frames to what the LLM sees.

        Args:
            inputs: Clips; prompts are not looked at.

        Returns:
            Visual tokens float[B, K, D], and the routing probabilities of each layer.

        Raises:
            SettingsError: Neither pixels nor features, or only those that the connector can't use.
        """
        visual = self.encode_clips(inputs)
        return visual.tokens, visual.routing or []

    def encode_clips(self, inputs: ModelInputs) -> Visual:
        """As :meth:`encode_video`, which says what it takes and raises, with the tokens' mask."""
        visual: Visual = self.connecting(self._clips(inputs))
        if self.connecting.tokens_in == "llm":
            return visual
        tokens = self.language_projection(visual.tokens.to(self._projection_dtype))
        return visual._replace(tokens=tokens)

    def _clips(self, inputs: ModelInputs) -> ClipBatch:
        """Returns what a connector is given of a batch."""
        patches = self._patches(inputs)
        if not self.connecting.multiplies_patches:
            patches = patches.to(self.query_tokens.dtype)
        batch, frames = patches.shape[:2]
        times, mask = inputs.frame_times, inputs.frame_mask
        if times is None:
            times = repeat(torch.arange(frames, device=patches.device).float(), "t -> b t", b=batch)
        if mask is None:
            mask = torch.ones(batch, frames, dtype=torch.bool, device=patches.device)
        pixels = self._pixels(inputs) if self.needs_pixels else None
        clip_mask = mask.bool()
        if (rows := inputs.clip_rows) is not None:  # the ViT sees each clip once
            patches, times, mask = patches[rows], times[rows], mask[rows]
        reads = self.reads_qformer_text
        return ClipBatch(
            qformer=self.qformer,
            query_tokens=self.query_tokens[:, : self.connecting.queries],
            patches=patches,
            times=times,
            frame_mask=mask.bool(),
            input_ids=inputs.qformer_input_ids if reads else None,
            attention_mask=inputs.qformer_attention_mask if reads else None,
            pixels=pixels,
            pixel_mask=clip_mask if pixels is not None else None,
            clip_rows=rows,
            vision=self.vision_model,
        )

    @property
    def needs_pixels(self) -> bool:
        """Whether the connector works inside the ViT, so that cached features are of no use."""
        return self.connecting.needs_pixels

    def _pixels(self, inputs: ModelInputs) -> Tensor:
        """Returns float[B, T, 3, H, W]; zeros for the text-only control."""
        pixels = inputs.pixel_values
        if pixels is None:
            raise SettingsError(
                f"model.connector={self.settings.connector} works inside the ViT and got no"
                " pixel_values; set train.use_cache=false"
            )
        return pixels if self.settings.vision else torch.zeros_like(pixels)

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
        if self.settings.vision and not self.needs_pixels:
            return self.encode_frames(pixels)
        # the control never looks, and a connector that takes pixels runs the ViT itself
        grid = self.vision_model.embeddings
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
        if self.answers_itself:
            loss, scores = self._own_loss(asked, labels, num_items_in_batch)
            return VideoLMMOutput(loss=loss, logits=scores)
        visual, routing, embeds, seen = self._read(asked)
        decoder_only = self.config.use_decoder_only_language_model
        answer = self._decode if decoder_only else self._encode_decode
        loss, logits = answer(embeds, seen, labels, num_items_in_batch, all_logits, **rest)
        return VideoLMMOutput(loss=loss, logits=logits, visual_tokens=visual, routing=routing)


class VideoInstructBlip(VideoLMM, InstructBlipForConditionalGeneration):  # type: ignore[misc]
    """InstructBLIP over clips; loads any InstructBLIP checkpoint."""


class VideoBlip2(VideoLMM, Blip2ForConditionalGeneration):  # type: ignore[misc]
    """BLIP-2 over clips; loads any BLIP-2 checkpoint. Its Q-Former reads no text."""
