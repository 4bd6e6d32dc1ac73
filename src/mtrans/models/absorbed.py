"""Cross-attention to patches without computing a key and a value for each patch.

    scores   q . (W_k x + b_k)           =  (q W_k) . x  + what is equal for all patches
    output   sum_p a_p (W_v x_p + b_v)   =  W_v (sum_p a_p x_p) + b_v sum_p a_p

A frame has many patches and few queries, so it is cheaper to bring the queries to the patches'
space than the patches to the queries'. The result is the same up to rounding; so are gradients,
low-rank pairs included, since they are added to the (small) weight first.
"""

from __future__ import annotations

from einops import einsum, rearrange
from torch import Tensor, nn

from mtrans.models.dropping import drop
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
    dropout: float = 0.0,
) -> Tensor:
    """Scaled dot-product attention of projected queries over unprojected patches.

    Args:
        query: float[B, h, Q, d].
        patches: float[B, P, Cv].
        key_weight: float[C, Cv]; the key's bias adds the same to every score of a query, which
            the softmax takes out again.
        value_weight: float[C, Cv].
        value_bias: float[C], or None.
        dropout: Probability with which attention weights are dropped.

    Returns:
        float[B, h, Q, d].
    """
    heads, width = query.shape[1], query.shape[-1]
    key_weight = rearrange(key_weight, "(h d) v -> h d v", h=heads)
    value_weight = rearrange(value_weight, "(h d) v -> h v d", h=heads)
    query = query * width**-0.5
    asked = rearrange(query, "b h q d -> h (b q) d") @ key_weight.to(query.dtype)
    asked = rearrange(asked, "h (b q) v -> b (h q) v", b=len(query))
    weights = (asked @ patches.mT).softmax(dim=-1).to(patches.dtype)
    weights = drop(weights, dropout)
    seen = rearrange(weights @ patches, "b (h q) v -> h (b q) v", h=heads)
    mixed = rearrange(seen @ value_weight.to(seen.dtype), "h (b q) d -> b h q d", b=len(query))
    if value_bias is None:
        return mixed
    bias = rearrange(value_bias, "(h d) -> h 1 d", h=heads).to(mixed.dtype)
    if not dropout:
        return mixed + bias
    total = rearrange(weights.sum(-1), "b (h q) -> b h q 1", h=heads)
    return mixed + einsum(total, bias, "b h q i, h i d -> b h q d")
