"""Softmax attention with an additive bias, by what is fastest on the device."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from mtrans.models.dropping import drop

VECTOR = 64
"""Bytes of a processor's vector register, at most."""


def attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float
) -> Tensor:
    """Softmax attention by the fused kernel, or by plain products.

    On a CPU the fused kernel's backward pass was measured slower than three plain products at the
    short lengths here (it was half of a training step), so it is kept for GPUs and inference.

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
