"""Softmax attention with an additive bias, by what is fastest on the device."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from mtrans.models.dropping import drop

IMPLEMENTATION = "mtrans_sdpa"
"""What transformers knows :func:`attend_of_transformers` as."""

SCORES = 2**20
"""Scores that are held at once where nothing is trained: a few megabytes, near the processor."""

VECTOR = 64
"""Bytes of a processor's vector register, at most."""


def attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float
) -> Tensor:
    """Softmax attention by the fused kernel, or by plain products.

    On a CPU the fused kernel's backward pass was measured slower than three plain products at the
    short lengths here (it was half of a training step). In 16 bit its forward pass takes twice as
    long as well, unless a single token asks. So it is kept for GPUs and for inference in fp32.

    Args:
        query: float[B, h, Lq, d].
        key: float[B, h, Lk, d].
        value: float[B, h, Lk, d].
        bias: Additive float, broadcastable to [B, h, Lq, Lk], in the dtype of `query`.
        dropout: Probability with which attention weights are dropped.

    Returns:
        float[B, h, Lq, d].
    """
    if query.device.type == "cpu" and torch.is_grad_enabled():
        return plain_attention(query, key, value, bias, dropout)
    if not dropout and _plain_is_quicker(query):
        return _in_parts(query, key, value, bias)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)


def plain_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    dropout: float,
    factor: Tensor | None = None,
) -> Tensor:
    """As :func:`attend`, as plain products.

    Args:
        query: float[B, h, Lq, d].
        key: float[B, h, Lk, d].
        value: float[B, h, Lk, d].
        bias: As there.
        dropout: As there.
        factor: What scores are multiplied with before the bias is added, broadcastable like it.

    Returns:
        float[B, h, Lq, d].
    """
    # a key in the order of memory is transposed for nothing, any other number by number
    scores = query @ key.contiguous().transpose(-1, -2) * query.shape[-1] ** -0.5
    if factor is not None:
        scores = scores * factor.to(scores.dtype)
    if bias is not None:
        scores = scores + bias
    weights = drop(softmax(scores), dropout)
    return weights.to(value.dtype) @ value


def _plain_is_quicker(query: Tensor) -> bool:
    """Whether plain products are, without gradients."""
    few_bits = query.element_size() == 2 and query.shape[-2] > 1
    return query.device.type == "cpu" and few_bits and not torch.compiler.is_compiling()


def _in_parts(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """As :func:`plain_attention`, some of the batch at a time; tokens lie one behind the other."""
    batch, heads, asking, _ = query.shape
    made = query.new_empty(batch, asking, heads, value.shape[-1])
    step = max(1, SCORES // (heads * asking * key.shape[2]))
    for first in range(0, batch, step):
        part = slice(first, first + step)
        own = bias if bias is None or bias.dim() < 4 or len(bias) == 1 else bias[part]
        mixed = plain_attention(query[part], key[part], value[part], own, 0.0)
        made[part] = rearrange(mixed, "b h n d -> b n h d")
    return rearrange(made, "b n h d -> b h n d")


def attend_of_transformers(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Transformers' `sdpa`, or plain products where these are quicker (:func:`attend`).

    Args:
        module: The attention layer.
        query: float[B, h, Lq, d].
        key: float[B, h, Lk, d].
        value: float[B, h, Lk, d].
        attention_mask: Additive or bool, or None.
        dropout: Probability with which attention weights are dropped.
        scaling: What scores are multiplied with; None is d to the power of -1/2.
        **kwargs: transformers' own.

    Returns:
        float[B, Lq, h, d], and None for the weights.
    """
    usual = scaling is None or math.isclose(scaling, query.shape[-1] ** -0.5)
    plain = usual and attention_mask is None and not dropout and query.shape[1] == key.shape[1]
    if plain and not torch.is_grad_enabled() and _plain_is_quicker(query):
        return rearrange(_in_parts(query, key, value, None), "b h n d -> b n h d"), None
    return cast(
        tuple[Tensor, Tensor | None],
        sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        ),
    )


AttentionInterface.register(IMPLEMENTATION, attend_of_transformers)


def softmax(scores: Tensor) -> Tensor:
    """Softmax over the last axis, also quick on a CPU where that is short or an odd number.

    Args:
        scores: float[..., L].

    Returns:
        float[..., L].
    """
    quick = scores.element_size() >= 4 and _is_long(scores)
    if scores.device.type != "cpu" or torch.compiler.is_compiling() or quick:
        return scores.softmax(dim=-1)
    return cast(Tensor, _Softmax.apply(scores))


class _Softmax(torch.autograd.Function):
    """Softmax around what torch's kernels on a CPU do number by number.

    Forward in bf16 that is the rest of a row that fills no vector register (32 numbers), backward
    all of a shorter row. Measured against the way over fp32, rows of 20 took 3.7 times as long both
    ways and rows of 60 as much forward. fp32 itself has that with rows below 16, which are written
    out. The kernels compute in fp32 whatever they are given, so the numbers are the same.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        weights = _forward(scores)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _backward(grads[0], ctx.saved_tensors[0])


def _is_long(rows: Tensor) -> bool:
    return rows.shape[-1] * rows.element_size() >= VECTOR


def _forward(scores: Tensor) -> Tensor:
    if scores.element_size() < 4:
        return _forward(scores.float()).to(scores.dtype)
    if _is_long(scores):
        return scores.softmax(dim=-1)
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(dim=-1, keepdim=True))


def _backward(grad: Tensor, weights: Tensor) -> Tensor:
    if _is_long(weights):
        return torch.ops.aten._softmax_backward_data(grad, weights, -1, weights.dtype)
    if weights.element_size() < 4:
        return _backward(grad.float(), weights.float()).to(weights.dtype)
    return (grad - (grad * weights).sum(dim=-1, keepdim=True)) * weights
