"""Cross-attention to patches without computing a key and a value for each patch.

    scores   q . (W_k x + b_k)           =  (q W_k) . x  + what is equal for all patches
    output   sum_p a_p (W_v x_p + b_v)   =  W_v (sum_p a_p x_p) + b_v sum_p a_p

A frame has many patches and few queries, so it is cheaper to bring the queries to the patches'
space than the patches to the queries'. The result is the same up to rounding; so are gradients,
low-rank pairs included, since they are added to the (small) weight first.

Where something is added to the patches in few channels (:mod:`mtrans.models.mixing`), it stays in
them, and gradients go there alone::

    scores   q . W_k (x + U z)           =  (q W_k) . x  +  (q W_k U) . z
    output   sum_p a_p W_v (x_p + U z_p) =  W_v (sum_p a_p x_p)  +  W_v U (sum_p a_p z_p)
"""

from __future__ import annotations

from typing import Any, cast

import torch
from einops import einsum, rearrange
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mtrans.models.dropping import drop
from mtrans.models.mixing import Mixed
from mtrans.models.projecting import taken_apart


def effective_weight(linear: nn.Module) -> Tensor | None:
    """The matrix a linear layer multiplies with, its active low-rank pairs added.

    Args:
        linear: A linear layer, plain or inside PEFT's LoRA.

    Returns:
        float[out, in]; None where there is no such matrix (:func:`taken_apart`).
    """
    parts = taken_apart(linear)
    if parts is None:
        return None
    weight = parts.weight
    for a, b, scaling in parts.pairs:
        weight = weight + ((b @ a) * scaling).to(weight.dtype)
    return weight


def absorbed_attention(
    query: Tensor,
    patches: Tensor,
    key_weight: Tensor,
    value_weight: Tensor,
    value_bias: Tensor | None,
    *,
    mixed: Mixed | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Scaled dot-product attention of projected queries over unprojected patches.

    Args:
        query: float[B, Q, h, d].
        patches: float[B, P, Cv].
        key_weight: float[C, Cv]; the key's bias adds the same to every score of a query, which
            the softmax takes out again.
        value_weight: float[C, Cv].
        value_bias: float[C], or None.
        mixed: What is added to the patches, float[B, P, r] and float[Cv, r], or None.
        dropout: Probability with which attention weights are dropped.

    Returns:
        float[B, Q, C].
    """
    clips, _, heads, width = query.shape
    rows = rearrange(query, "b q h d -> (b q) h d")
    key_weight = key_weight.to(query.dtype) * width**-0.5
    value_weight = value_weight.to(patches.dtype)

    def asking(weight: Tensor) -> Tensor:  # of float[C, n]: float[B, Q * h, n]
        asked = each_head(rows, rearrange(weight, "(h d) n -> h d n", h=heads))
        return rearrange(asked, "(b q) h n -> b (q h) n", b=clips)

    def answered(seen: Tensor, weight: Tensor) -> Tensor:  # of float[B, Q * h, n]: float[B*Q, h, d]
        seen = rearrange(seen, "b (q h) n -> (b q) h n", h=heads)
        return each_head(seen, rearrange(weight, "(h d) n -> h n d", h=heads))

    if mixed is None:
        scores = asking(key_weight) @ patches.mT
    else:
        low, up = mixed.low.to(patches.dtype), mixed.up.to(patches.dtype)
        scores = score(asking(key_weight @ up), low)
        scores = torch.baddbmm(scores, asking(key_weight), patches.mT)
    weights = drop(scores.softmax(dim=-1).to(patches.dtype), dropout)
    made = answered(weights @ patches, value_weight)
    if mixed is not None:
        made = made + answered(weights @ low, value_weight @ up)
    if value_bias is not None:
        bias = rearrange(value_bias, "(h d) -> h d", h=heads).to(made.dtype)
        if dropout:
            total = rearrange(weights.sum(-1), "b (q h) -> (b q) h 1", h=heads)
            made = torch.addcmul(made, total, bias)
        else:
            made = made + bias
    return rearrange(made, "(b q) h d -> b q (h d)", b=clips)


def score(asked: Tensor, seen: Tensor) -> Tensor:
    """Multiplies rows with rows.

    Args:
        asked: float[B, Q, r].
        seen: float[B, P, r] of the same type.

    Returns:
        float[B, Q, P]. The gradient of `seen` lies in memory as `seen` does, so that adding it to
        others is quick; a product with a transposed view leaves it transposed.
    """
    if seen.device.type != "cpu" or torch.compiler.is_compiling():
        return asked @ seen.mT
    return cast(Tensor, _Score.apply(asked, seen))


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, asked: Tensor, seen: Tensor) -> Tensor:
        ctx.save_for_backward(asked, seen)
        return asked @ seen.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,), (asked, seen) = grads, ctx.saved_tensors
        return grad @ seen, grad.mT @ asked


def each_head(x: Tensor, weight: Tensor) -> Tensor:
    """Multiplies each head's part of rows by the head's own matrix.

    Args:
        x: float[n, h, i].
        weight: float[h, i, o] of the same type.

    Returns:
        float[n, h, o], in the order of memory: what reads it needs no copy.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling():  # there many small calls cost more
        return einsum(x, weight, "n h i, h i o -> n h o")
    return cast(Tensor, _EachHead.apply(x, weight))


class _EachHead(torch.autograd.Function):
    """Head by head, each read and written where it stands.

    A batched product copies what does not lie one head after another, and puts its result so.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        made = x.new_empty(*x.shape[:2], weight.shape[2])
        for head in range(len(weight)):
            torch.mm(x[:, head], weight[head], out=made[:, head])
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,), (x, weight) = grads, ctx.saved_tensors
        to_x, to_weight = (
            torch.empty_like(of) if needed else None
            for of, needed in zip((x, weight), ctx.needs_input_grad, strict=True)
        )
        for head in range(len(weight)):
            if to_x is not None:
                torch.mm(grad[:, head], weight[head].mT, out=to_x[:, head])
            if to_weight is not None:
                torch.mm(x[:, head].mT, grad[:, head], out=to_weight[head])
        return to_x, to_weight
