"""What the spatial-temporal Q-Former attends to, computed beside the model from what it computes.

The model itself never has cross-attention weights (:mod:`mtrans.models.absorbed` goes around keys)
nor those of its fused kernels. So one clip is run with hooks on the query and key projections, and
the weights are worked out again from their outputs: scores, position bias, routing, softmax, the
same sum in the plain order. Weights are means over heads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from einops import einsum, rearrange
from torch import Tensor, nn

from mtrans.models.inputs import ModelInputs
from mtrans.models.routing import EPS, LayerRouting, Routing, masked_bias, temporal_masks
from mtrans.models.routing import spatial_masks as masks_over_tokens


@dataclass(frozen=True)
class LayerMaps:
    """Attention of one layer for one clip.

    Attributes:
        spatial: float[T, Q, N], from queries to all tokens of a frame.
        temporal: float[Q, T, T], from frame to frame for each query; None without MQT.
        cross: float[T, Q, P], from queries to patches; None where the layer has none.
        gate: How much of the temporal block counts; 1 without a gate, 0 without MQT.
        routing: The layer's routing probabilities.
    """

    spatial: Tensor
    temporal: Tensor | None
    cross: Tensor | None
    gate: float
    routing: LayerRouting


def attention_weights(
    query: Tensor, key: Tensor, *, bias: Tensor | None = None, routing: Routing | None = None
) -> Tensor:
    """The weights that `routed_attention` multiplies values with.

    Args:
        query: float[B, h, Lq, d].
        key: float[B, h, Lk, d].
        bias: Additive, broadcastable to [B, h, Lq, Lk].
        routing: The mixture, or None.

    Returns:
        float[B, h, Lq, Lk] in fp32 or wider, rows sum to 1.
    """
    wide = torch.promote_types(query.dtype, torch.float32)
    query, key = query.to(wide), key.to(wide)
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    added = scores.new_zeros(()) if bias is None else bias.to(scores.dtype)
    if routing is None:
        return (scores + added).softmax(dim=-1)
    masks, alpha = routing.masks[:, : query.shape[2]], routing.alpha
    if routing.form == "average":
        parts = [(scores + added + masked_bias(m, scores.dtype)).softmax(dim=-1) for m in masks]
        return einsum(alpha.to(scores.dtype), torch.stack(parts), "b m, m b h i j -> b h i j")
    mixture = rearrange(
        einsum(alpha, masks.to(alpha.dtype), "b m, m i j -> b i j"), "b i j -> b 1 i j"
    ).to(scores.dtype)
    if routing.form == "log_mixture":
        return (scores + added + torch.log(mixture + EPS)).softmax(dim=-1)
    return (scores * mixture + added).softmax(dim=-1)


@torch.no_grad()
def attention_maps(model: Any, inputs: ModelInputs) -> list[LayerMaps]:
    """Runs one clip and returns each layer's attention.

    Args:
        model: The assembled model, with connector `mqt`.
        inputs: One clip, without padding.

    Returns:
        One entry a layer.
    """
    clips = model._clips(inputs)
    connector = model.connecting
    layers = list(zip(model.qformer.encoder.layer, connector.layers, strict=True))
    with _watching(layers) as seen:
        visual = connector(clips)
    if connector.mixing is not None:
        mixed = connector.mixing(clips.patches, clips.frame_mask)
        clips = clips.but(patches=mixed.added_to(clips.patches))
    queries = clips.query_tokens.shape[1]
    return [
        _layer(old, new, seen, clips, routing, queries)
        for (old, new), routing in zip(layers, visual.routing, strict=True)
    ]


def _layer(
    old: Any, new: Any, seen: dict[int, Tensor], clips: Any, routing: LayerRouting, queries: int
) -> LayerMaps:
    inner, frames, form = old.attention.attention, clips.times.shape[1], new.settings.routing_form
    heads = inner.num_attention_heads
    split = "b t n (h d) -> (b t) h n d"
    query = rearrange(seen[id(inner.query)], split, h=heads)
    key = rearrange(seen[id(inner.key)], split, h=heads)
    mixture = None
    if routing.spatial is not None:
        masks = masks_over_tokens(queries, key.shape[2] - queries, key.device)
        alpha = rearrange(routing.spatial[:, : len(query)], "1 t m -> t m")
        mixture = Routing(alpha, masks[: alpha.shape[-1]], form)
    spatial = attention_weights(query, key, routing=mixture).mean(dim=1)[:, :queries]
    temporal, gate = None, 0.0
    if new.temporal is not None:
        gate = 1.0 if new.temporal_gate is None else float(new.temporal_gate.value)
        temporal = _temporal(new, seen, clips, routing, queries, frames)
    cross = None
    if old.has_cross_attention:
        attention = old.crossattention.attention
        patches = rearrange(clips.patches, "1 t p c -> t p c").to(key.dtype)
        asked = rearrange(seen[id(attention.query)], "1 t q (h d) -> t h q d", h=heads)
        keys = rearrange(attention.key(patches), "t p (h d) -> t h p d", h=heads)
        cross = attention_weights(asked, keys).mean(dim=1)
    return LayerMaps(spatial.expand(frames, -1, -1), temporal, cross, gate, routing)


def _temporal(
    new: Any, seen: dict[int, Tensor], clips: Any, routing: LayerRouting, queries: int, frames: int
) -> Tensor:
    swap = "b t n (h d) -> (b n) h t d"
    query, key = (
        rearrange(seen[id(m)][:, :, :queries], swap, h=new.temporal.heads)
        for m in (new.temporal.query, new.temporal.key)
    )
    if query.shape[2] < frames:  # one frame that stands for all: it attends to equals
        return torch.full((queries, frames, frames), 1 / frames, device=query.device)
    bias = None if new.temporal_position is None else new.temporal_position(clips.times)
    mixture = None
    if routing.temporal is not None:
        masks = temporal_masks(frames, new.settings.temporal_radii, query.device)
        alpha = routing.temporal.expand(queries, -1)
        mixture = Routing(alpha, masks[: alpha.shape[-1]], new.settings.routing_form)
    return attention_weights(query, key, bias=bias, routing=mixture).mean(dim=1)


@contextlib.contextmanager
def _watching(layers: list[tuple[Any, Any]]) -> Iterator[dict[int, Tensor]]:
    """Keeps the first output of every query and key projection, by the module's id."""
    seen: dict[int, Tensor] = {}

    def keep(module: nn.Module, _: Any, output: Tensor) -> None:
        # without LoRA the temporal branch runs the same module again, after the spatial one
        seen.setdefault(id(module), output.detach())

    watched: list[nn.Module] = []
    for old, new in layers:
        watched += [old.attention.attention.query, old.attention.attention.key]
        if old.has_cross_attention:
            watched.append(old.crossattention.attention.query)
        if new.temporal is not None:
            watched += [new.temporal.query, new.temporal.key]
    handles = [module.register_forward_hook(keep) for module in watched]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def mean_cross(layers: list[LayerMaps]) -> Tensor:
    """Plain cross-attention: mean over layers and queries, float[T, P]."""
    return torch.stack([m.cross.mean(dim=1) for m in layers if m.cross is not None]).mean(dim=0)


def rollout(layers: list[LayerMaps]) -> Tensor:
    """Attention rollout (Abnar and Zuidema, ACL 2020) from patches to the mean of the queries.

    Each attention passes on half of what its input had and half of what it attends to; the temporal
    one by its gate. What goes through text tokens is left out.

    Args:
        layers: All layers.

    Returns:
        float[T, P].
    """
    first = next(m.cross for m in layers if m.cross is not None)
    frames, queries, patches = first.shape
    own = torch.eye(frames, device=first.device)
    reach = first.new_zeros(frames, queries, frames, patches)
    for m in layers:
        among = m.spatial[:, :, :queries]
        reach = (reach + einsum(among, reach, "t q k, t k s p -> t q s p")) / 2
        if m.temporal is not None:
            moved = einsum(m.temporal, reach, "q t u, u q s p -> t q s p")
            reach = reach + min(max(m.gate, 0.0), 1.0) * (moved - reach) / 2
        if m.cross is not None:
            reach = (reach + einsum(m.cross, own, "t q p, t s -> t q s p")) / 2
    return reach.mean(dim=(0, 1))
