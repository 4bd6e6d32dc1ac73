"""The spatial-temporal Q-Former: drives transformers' pretrained Q-Former layers over a clip.

::

    text, queries -> embeddings -> x[B, T, N, C]
    each layer:   spatial attention over N  ->  temporal attention over T (temporal.py)
                  ->  cross-attention to the frame's patches (some layers)  ->  feed-forward
    queries of the last layer [B, T, Q, C] -> pooling.py

Everything pretrained stays in the Q-Former it came with and is passed in at each call; this module
owns only what is new: routers, gates, positions, the pool, and adapters around shared weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.absorbed import absorbed_attention, effective_weight
from mtrans.models.connectors.base import ClipBatch, Connector, Visual
from mtrans.models.mixing import Mixed, PatchMixing
from mtrans.models.pooling import (
    AttentionPool,
    MomentsPool,
    SpreadPool,
    masked_mean,
    pool_frames,
)
from mtrans.models.projecting import as_multiplied, close, project
from mtrans.models.routing import (
    LayerRouting,
    Router,
    Routing,
    masked_bias,
    routed_attention,
    spatial_masks,
    temporal_masks,
)
from mtrans.models.rules import SPATIAL_MASKS, is_cheaper, masks_of_layer
from mtrans.models.temporal import (
    AbsolutePosition,
    RelativePosition,
    TemporalAttention,
    TemporalGate,
)


@dataclass(frozen=True)
class Clip:
    """What every layer needs to know about a batch of clips.

    Attributes:
        patches: float[B * T, P, Cv].
        mixed: What is added to them, float[B * T, P, r] and float[Cv, r], or None.
        queries: `Q`.
        frame_mask: bool[B, T].
        times: float[B, T] in seconds.
        text_bias: Additive float[B, 1, 1, N] that hides padded text, or None.
        frame_bias: Additive float[B, 1, 1, T] that hides padded frames, or None.
        patch_bias: Additive float[B * T, 1, 1, P] that hides patches, or None.
        spatial_masks: bool[M, N, N].
        temporal_masks: bool[M, T, T].
    """

    patches: Tensor
    mixed: Mixed | None
    queries: int
    frame_mask: Tensor
    times: Tensor
    text_bias: Tensor | None
    frame_bias: Tensor | None
    patch_bias: Tensor | None
    spatial_masks: Tensor
    temporal_masks: Tensor

    @cached_property
    def seen(self) -> Tensor:
        """Patches with what is added to them, for layers that make keys and values of them."""
        return self.patches if self.mixed is None else self.mixed.added_to(self.patches)

    def still(self) -> Clip:
        """The clip as one frame that stands for all, for layers before frames can differ."""
        return replace(
            self,
            frame_mask=torch.ones_like(self.frame_mask[:, :1]),
            times=self.times[:, :1],
            frame_bias=None,
            temporal_masks=self.temporal_masks[:, :1, :1],
        )


class SpatialTemporalLayer(nn.Module):
    """What is new in one layer.

    Args:
        pretrained: transformers' Q-Former layer.
        settings: The method's switches.
        index: Which layer, from 0.
        width: Q-Former width `C`.
    """

    def __init__(self, pretrained: nn.Module, settings: ModelSettings, *, index: int, width: int):
        super().__init__()
        self.settings = settings
        attention = cast(Any, pretrained).attention
        self.dropout = float(attention.attention.attention_dropout)
        self.temporal = TemporalAttention(attention) if settings.mqt else None
        gated = settings.mqt and settings.temporal_gate == "learned"
        self.temporal_gate = TemporalGate(settings.gate_init) if gated else None
        relative = settings.mqt and settings.temporal_position == "relative"
        heads = attention.attention.num_attention_heads
        start = {"scale": settings.position_scale, "order": settings.position_order}
        self.temporal_position = RelativePosition(heads=heads, **start) if relative else None
        self.spatial_router = self._router("spatial", index, SPATIAL_MASKS, width)
        bounded = len(settings.temporal_radii)
        self.temporal_router = self._router("temporal", index, 1 + bounded, width)

    def _router(self, family: str, index: int, available: int, width: int) -> Router | None:
        masks = masks_of_layer(self.settings, index, available)
        if self.settings.routing not in (family, "both") or masks == 1:
            return None  # a single mask is the unbounded one: plain attention
        hard = self.settings.routing_choice == "hard"
        temperature = self.settings.routing_temperature
        return Router(width=width, masks=masks, hard=hard, temperature=temperature)

    def forward(
        self, layer: Any, x: Tensor, clip: Clip, *, last: bool = False
    ) -> tuple[Tensor, LayerRouting]:
        """Spatial, temporal, cross-attention, feed-forward.

        Args:
            layer: transformers' Q-Former layer.
            x: float[B, T, N, C], queries first; or float[B, 1, N, C], one frame that stands for
                all T as long as they are the same (attention over equals gives that equal).
            clip: The batch.
            last: Compute the queries only: nothing reads the text tokens any more.

        Returns:
            float[B, T, N or Q, C] and the routing probabilities.
        """
        routing = LayerRouting()
        frames = clip.times.shape[1]
        seen = clip if x.shape[1] == frames else clip.still()
        x = self._spatial(layer, x, seen, last, routing)
        if self.temporal is not None and self.settings.temporal_tokens == "all":
            x = self._temporal(x, seen, routing)
        words = x.shape[2] - clip.queries
        queries, text = x.split([clip.queries, words], dim=2)  # cheaper backward than slices
        if self.temporal is not None and self.settings.temporal_tokens == "queries":
            queries = self._temporal(queries, seen, routing)
        queries = queries.expand(-1, frames, -1, -1)
        if routing.spatial is not None:
            routing.spatial = routing.spatial.expand(-1, frames, -1)
        if layer.has_cross_attention:
            queries = self._cross(layer.crossattention, queries, clip)
        queries = layer.output_query(layer.intermediate_query(queries), queries)
        if text.shape[2]:
            text = layer.output(layer.intermediate(text), text)
            return torch.cat([queries, text.expand(-1, frames, -1, -1)], dim=2), routing
        return queries, routing

    def _spatial(
        self, layer: Any, x: Tensor, clip: Clip, last: bool, routing: LayerRouting
    ) -> Tensor:
        inner, frames = layer.attention.attention, x.shape[1]
        split = "b t n (h d) -> (b t) h n d"
        asking = x[:, :, : clip.queries] if last else x
        heads = inner.num_attention_heads
        if last:
            made = project(asking, inner.query) + project(x, inner.key, inner.value)
        else:
            made = project(x, inner.query, inner.key, inner.value)
        query, key, value = (rearrange(y, split, h=heads) for y in made)
        mixture = None
        if self.spatial_router is not None:
            pooled = rearrange(x[:, :, : clip.queries].mean(dim=2), "b t c -> (b t) c")
            alpha = self.spatial_router(pooled)
            routing.spatial = rearrange(alpha, "(b t) m -> b t m", t=frames)
            masks = clip.spatial_masks[: alpha.shape[-1]]
            mixture = Routing(alpha, masks, self.settings.routing_form)
        bias = clip.text_bias
        if bias is not None:
            bias = bias.repeat_interleave(frames, dim=0)
        mixed = routed_attention(
            query, key, value, bias=bias, routing=mixture, dropout=self._drop(inner)
        )
        mixed = rearrange(mixed, "(b t) h n d -> b t n (h d)", t=frames)
        return close(layer.attention.output, mixed, asking)

    def _temporal(self, x: Tensor, clip: Clip, routing: LayerRouting) -> Tensor:
        assert self.temporal is not None
        bias = clip.frame_bias
        if self.temporal_position is not None:
            position = self.temporal_position(clip.times).to(x.dtype)
            bias = position if bias is None else position + bias
        mixture = None
        if self.temporal_router is not None:
            per_frame = x[:, :, : clip.queries].mean(dim=2)
            alpha = self.temporal_router(masked_mean(per_frame, clip.frame_mask))
            routing.temporal = alpha
            masks = clip.temporal_masks[: alpha.shape[-1]]
            mixture = Routing(alpha, masks, self.settings.routing_form)
        block = self.temporal(x, bias=bias, routing=mixture, dropout=self._drop(self))
        if self.temporal_gate is None:
            return cast(Tensor, block)
        return cast(Tensor, self.temporal_gate(x, block))

    def _cross(self, attention: Any, queries: Tensor, clip: Clip) -> Tensor:
        inner, frames = attention.attention, queries.shape[1]
        heads = inner.num_attention_heads
        (query,) = project(queries, inner.query)
        query = rearrange(query, "b t q (h d) -> (b t) q h d", h=heads)
        # patches that are hidden need their scores: the plain way
        mixed = None if clip.patch_bias is not None else self._absorbed(inner, query, clip)
        if mixed is None:
            query = rearrange(query, "f q h d -> f h q d")
            key = rearrange(inner.key(clip.seen), "f p (h d) -> f h p d", h=heads)
            value = rearrange(inner.value(clip.seen), "f p (h d) -> f h p d", h=heads)
            bias = clip.patch_bias
            mixed = routed_attention(query, key, value, bias=bias, dropout=self._drop(inner))
            mixed = rearrange(mixed, "f h q d -> f q (h d)")
        mixed = rearrange(mixed, "(b t) q c -> b t q c", t=frames)
        return close(attention.output, mixed, queries)

    def _absorbed(self, inner: Any, query: Tensor, clip: Clip) -> Tensor | None:
        """Cross-attention by the cheaper way, or None where that is not open."""
        _, queries, heads, width = query.shape
        cheaper = is_cheaper(
            queries=queries, patches=clip.patches.shape[1], width=heads * width,
            image_width=clip.patches.shape[2], heads=heads,
        )  # fmt: skip
        key = effective_weight(inner.key) if cheaper else None
        value = effective_weight(inner.value) if cheaper else None
        if key is None or value is None:
            return None
        return absorbed_attention(
            query,
            clip.patches.to(query.dtype),
            key,
            value,
            inner.value.bias,
            mixed=clip.mixed,
            dropout=self._drop(inner),
        )

    def _drop(self, attention: nn.Module) -> float:
        """Of an attention's weights; nothing where it is frozen and held still."""
        return self.dropout if attention.training else 0.0


class SpatialTemporalQFormer(Connector):
    """Connector `mqt`: the paper's design with all its switches, and the loop over the layers.

    Without MQT and routing it is the plain Q-Former, frame by frame; other connectors run it so.

    Args:
        config: The InstructBLIP or BLIP-2 config.
        qformer: transformers' pretrained Q-Former.
        settings: The method's switches.
    """

    about = "the Q-Former's own attention reused over time (MQT), routed (DAR), text inside"
    source = "MTransLLAMA, IEEE TMM 27, 2025; gate, positions and log-mixture are this project's"
    has_lora = True
    multiplies_patches = True
    dial = "lora.rank"

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        width = self.qformer_width
        layers = cast(Any, qformer).encoder.layer
        self.layers = nn.ModuleList(
            [
                SpatialTemporalLayer(layer, settings, index=i, width=width)
                for i, layer in enumerate(layers)
            ]
        )
        absolute = settings.mqt and settings.temporal_position == "absolute"
        self.absolute_position = (
            AbsolutePosition(
                max_frames=settings.max_frames,
                queries=self.queries,
                width=width,
                scale=settings.position_scale,
            )
            if absolute
            else None
        )
        inner = settings.patch_mixing
        step = settings.patch_mixing_step
        self.mixing = PatchMixing(self.vision_width, inner, step) if inner else None
        self.attention_pool = AttentionPool(width) if settings.pool == "attention" else None
        timed = {"spread": SpreadPool, "moments": MomentsPool}.get(settings.pool)
        self.spread_pool = timed(width, self.queries) if timed is not None else None

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` of a clip of so many frames."""
        return frames * self.queries if self.settings.pool == "concat" else self.queries

    def forward(self, clips: ClipBatch) -> Visual:
        """Runs a batch of clips.

        Args:
            clips: The batch; with more query tokens than the model's own all of them are run.

        Returns:
            Pooled queries float[B, K, C] and the routing probabilities of each layer.
        """
        frame_mask, attention_mask = clips.frame_mask, clips.attention_mask
        batch, frames = frame_mask.shape
        embedded = embed(clips.qformer, clips.query_tokens, clips.input_ids, batch)
        x = rearrange(embedded, "b n c -> b 1 n c")
        if self.absolute_position is not None:  # without it frames differ from cross-attention on
            x = x.expand(-1, frames, -1, -1)
            x = self.absolute_position(x, all_tokens=self.settings.temporal_tokens == "all")
        queries, tokens, device = clips.query_tokens.shape[1], x.shape[2], x.device
        text_bias = None
        if clips.input_ids is not None and attention_mask is not None:
            words = nn.functional.pad(attention_mask.bool(), (queries, 0), value=True)
            text_bias = bias_of(words, x.dtype, "b n -> b 1 1 n")
        patch_bias = None
        if clips.patch_mask is not None:
            patch_bias = bias_of(clips.patch_mask, x.dtype, "b t p -> (b t) 1 1 p")
        patches, mixed = as_multiplied(clips.patches), None
        if not torch.is_autocast_enabled(device.type):
            patches = patches.to(x.dtype)
        if self.mixing is not None:
            seen = frame_mask
            if clips.patch_mask is not None:
                seen = clips.patch_mask & rearrange(frame_mask, "b t -> b t 1")
            low, up = self.mixing(patches, seen)
            mixed = Mixed(as_multiplied(rearrange(low, "b t p r -> (b t) p r")), up)
        clip = Clip(
            patches=rearrange(patches, "b t p c -> (b t) p c"),
            mixed=mixed,
            queries=queries,
            frame_mask=frame_mask,
            times=clips.times,
            text_bias=text_bias,
            frame_bias=bias_of(frame_mask, x.dtype, "b t -> b 1 1 t"),
            patch_bias=patch_bias,
            spatial_masks=spatial_masks(queries, tokens - queries, device),
            temporal_masks=temporal_masks(frames, self.settings.temporal_radii, device),
        )
        routing = []
        pretrained = clips.qformer.encoder.layer
        for i, (layer, new) in enumerate(zip(pretrained, self.layers, strict=True)):
            x, probabilities = new(layer, x, clip, last=i == len(self.layers) - 1)
            routing.append(probabilities)
        pool = self.settings.pool
        learned = self.attention_pool if self.spread_pool is None else self.spread_pool
        pooled = pool_frames(x, frame_mask, pool=pool, learned=learned, times=clips.times)
        mask = repeat(frame_mask, "b t -> b (t q)", q=queries) if pool == "concat" else None
        return Visual(pooled, mask, routing)


def plain_qformer(
    config: Any, qformer: nn.Module, settings: ModelSettings
) -> SpatialTemporalQFormer:
    """The image model's Q-Former: frame by frame, all frames' queries; trains nothing of its own.

    Args:
        config: The InstructBLIP or BLIP-2 config.
        qformer: transformers' pretrained Q-Former.
        settings: The switches.

    Returns:
        A connector whose tokens are float[B, T * Q, C].
    """
    plain = replace(settings, mqt=False, routing="off", pool="concat", patch_mixing=0)
    return SpatialTemporalQFormer(config, qformer, plain)


def bias_of(mask: Tensor, dtype: torch.dtype, pattern: str) -> Tensor | None:
    """Turns "may be seen" into an additive bias of another shape; None where all may be seen."""
    return None if bool(mask.all()) else rearrange(masked_bias(mask, dtype), pattern)


def embed(qformer: Any, query_tokens: Tensor, input_ids: Tensor | None, batch: int) -> Tensor:
    """The Q-Former's input of one frame.

    Args:
        qformer: InstructBLIP's Q-Former, or BLIP-2's, which has no embeddings of its own.
        query_tokens: float[1, Q, C].
        input_ids: int[B, L], or None for no text.
        batch: `B`.

    Returns:
        float[B, N, C].
    """
    queries = query_tokens.expand(batch, -1, -1)
    if hasattr(qformer, "embeddings"):
        return cast(Tensor, qformer.embeddings(input_ids=input_ids, query_embeds=queries))
    queries = queries.to(qformer.layernorm.weight.dtype)
    return cast(Tensor, qformer.dropout(qformer.layernorm(queries)))
