"""DAR: a router mixes attention masks of different reach, per sample and layer.

::

    alpha = softmax(MLP(mean over the query tokens))       masks M_0 (unbounded), M_1, ...
    log_mixture   softmax(scores + log(sum_k alpha_k M_k + eps))        one fused call for all masks
    average       sum_k alpha_k softmax(scores where M_k)               TRAR, ICCV 2021
    hadamard      softmax(scores * sum_k alpha_k M_k)                   the equation as printed

Families. Over time: all frames, then |t - t'| <= r for each radius. Over the tokens of a frame: all
tokens; within a modality (query-query, text-text); across modalities (query-text, text-query, and
each token itself, so that no row is empty). Queries have no grid, so windows over their index mean
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from einops import einsum, rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mtrans.models.attention import attend, plain_attention
from mtrans.models.rules import ROUTER_HIDDEN
from mtrans.models.trained import TrainedWhole

Form = Literal["log_mixture", "average", "hadamard"]

START_BIAS = 4.0
"""Logit of the unbounded mask at the start: probability 0.95 among four masks, gradients alive."""

EPS = 1e-6
"""Keeps the logarithm of an empty mixture finite."""


@dataclass
class LayerRouting:
    """Routing probabilities of one layer; None where that attention is not routed.

    Attributes:
        spatial: float[B, T, M], per frame.
        temporal: float[B, M], per clip.
    """

    spatial: Tensor | None = None
    temporal: Tensor | None = None


@dataclass(frozen=True)
class Routing:
    """What a routed attention needs.

    Attributes:
        alpha: float[B, M], rows sum to one.
        masks: bool[M, L, L], the unbounded mask first.
        form: How the masks act.
    """

    alpha: Tensor
    masks: Tensor
    form: Form


def masked_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turns "may be seen" into an additive bias.

    Finite, so that a row in which nothing may be seen stays a number, and far from the type's
    limit, so that two of them still add up.

    Args:
        mask: bool[...], True where a key may be seen.
        dtype: Type of the scores.

    Returns:
        float[...], 0 or a very negative number.
    """
    far = torch.finfo(dtype).min / 8
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, far)


def temporal_masks(frames: int, radii: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Masks over frames.

    Args:
        frames: `T`.
        radii: Largest distance in frames of each bounded mask.
        device: Where to build them.

    Returns:
        bool[1 + len(radii), T, T], the unbounded one first.
    """
    index = torch.arange(frames, device=device)
    distance = (rearrange(index, "t -> t 1") - rearrange(index, "s -> 1 s")).abs()
    reach = torch.tensor([frames, *radii], device=device)
    return rearrange(distance, "t s -> 1 t s") <= rearrange(reach, "m -> m 1 1")


def spatial_masks(queries: int, texts: int, device: torch.device | None = None) -> Tensor:
    """Masks over the tokens of one frame.

    Args:
        queries: `Q`, which come first.
        texts: `L`.
        device: Where to build them.

    Returns:
        bool[3, N, N]: all, within a modality, across modalities (and each token itself).
    """
    is_text = torch.arange(queries + texts, device=device) >= queries
    same = rearrange(is_text, "n -> n 1") == rearrange(is_text, "m -> 1 m")
    itself = torch.eye(queries + texts, dtype=torch.bool, device=device)
    return torch.stack([torch.ones_like(same), same, ~same | itself])


class Router(TrainedWhole):
    """Two-layer MLP from pooled query tokens to mask probabilities.

    Args:
        width: Q-Former width `C`.
        masks: How many masks it mixes.
        hard: Choose one mask (straight-through Gumbel softmax in training) instead of mixing.
        temperature: Gumbel temperature; an attribute, so that training can anneal it.
    """

    def __init__(self, *, width: int, masks: int, hard: bool = False, temperature: float = 1.0):
        super().__init__()
        self.hard = hard
        self.temperature = temperature
        self.hidden_weight = nn.Parameter(torch.empty(ROUTER_HIDDEN, width))
        self.hidden_bias = nn.Parameter(torch.empty(ROUTER_HIDDEN))
        self.mask_weight = nn.Parameter(torch.empty(masks, ROUTER_HIDDEN))
        self.mask_bias = nn.Parameter(torch.empty(masks))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Starts on the unbounded mask, with weights small but not zero so that gradients flow."""
        nn.init.normal_(self.hidden_weight, std=self.hidden_weight.shape[1] ** -0.5)
        nn.init.zeros_(self.hidden_bias)
        nn.init.normal_(self.mask_weight, std=0.1 * ROUTER_HIDDEN**-0.5)
        start = torch.zeros_like(self.mask_bias)
        start[0] = START_BIAS
        if not getattr(self.mask_bias, "_is_hf_initialized", False):  # set on loaded weights
            with torch.no_grad():
                self.mask_bias.copy_(start)

    def forward(self, pooled: Tensor) -> Tensor:
        """Computes alpha.

        Args:
            pooled: float[B, C], mean over the query tokens.

        Returns:
            float[B, M]; rows sum to one.
        """
        hidden = F.linear(pooled.to(self.hidden_weight.dtype), self.hidden_weight, self.hidden_bias)
        logits = F.linear(F.gelu(hidden), self.mask_weight, self.mask_bias)
        if not self.hard:
            return logits.softmax(dim=-1)
        if self.training:
            return F.gumbel_softmax(logits, tau=self.temperature, hard=True)
        return F.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(logits.dtype)


def routed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    bias: Tensor | None = None,
    routing: Routing | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Scaled dot-product attention, plain or through a mask mixture.

    Args:
        query: float[B, h, Lq, d].
        key: float[B, h, Lk, d].
        value: float[B, h, Lk, d].
        bias: Additive float, broadcastable to [B, h, Lq, Lk]: padding and position.
        routing: The mixture, or None for plain attention. Where only the first Lq tokens ask, the
            masks' first Lq rows are taken.
        dropout: Probability with which attention weights are dropped.

    Returns:
        float[B, h, Lq, d].
    """
    bias = None if bias is None else bias.to(query.dtype)
    if routing is None:
        return attend(query, key, value, bias, dropout)
    masks = routing.masks[:, : query.shape[2]]
    alpha = routing.alpha
    if routing.form == "average":
        mixed = value.new_zeros(())
        for k, mask in enumerate(masks):
            only = masked_bias(mask, query.dtype)
            seen = attend(query, key, value, only if bias is None else only + bias, dropout)
            mixed = mixed + rearrange(alpha[:, k], "b -> b 1 1 1").to(seen.dtype) * seen
        return mixed
    mixture = einsum(alpha, masks.to(alpha.dtype), "b m, m i j -> b i j")
    mixture = rearrange(mixture, "b i j -> b 1 i j")
    if routing.form == "log_mixture":
        reach = torch.log(mixture + EPS).to(query.dtype)
        total = reach if bias is None else reach + bias
        return attend(query, key, value, total, dropout)
    return plain_attention(query, key, value, bias, dropout, mixture)
