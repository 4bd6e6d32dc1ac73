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

from einops import einsum, rearrange
from torch import Tensor, nn

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
        query: float[B, h, Q, d].
        patches: float[B, P, Cv].
        key_weight: float[C, Cv]; the key's bias adds the same to every score of a query, which
            the softmax takes out again.
        value_weight: float[C, Cv].
        value_bias: float[C], or None.
        mixed: What is added to the patches, float[B, P, r] and float[Cv, r], or None.
        dropout: Probability with which attention weights are dropped.

    Returns:
        float[B, h, Q, d].
    """
    heads, width = query.shape[1], query.shape[-1]
    query = rearrange(query * width**-0.5, "b h q d -> h (b q) d")
    clips = len(patches)

    def asking(weight: Tensor) -> Tensor:  # of float[C, n]: float[B, h * Q, n]
        weight = rearrange(weight, "(h d) n -> h d n", h=heads).to(query.dtype)
        return rearrange(query @ weight, "h (b q) n -> b (h q) n", b=clips)

    def answered(seen: Tensor, weight: Tensor) -> Tensor:  # float[B, h * Q, n]: float[h, B * Q, d]
        weight = rearrange(weight, "(h d) n -> h n d", h=heads).to(seen.dtype)
        return rearrange(seen, "b (h q) n -> h (b q) n", h=heads) @ weight

    scores = asking(key_weight) @ patches.mT
    if mixed is not None:
        low, up = mixed.low.to(patches.dtype), mixed.up.to(key_weight.dtype)
        scores = scores + asking(key_weight @ up) @ low.mT
    weights = drop(scores.softmax(dim=-1).to(patches.dtype), dropout)
    made = answered(weights @ patches, value_weight)
    if mixed is not None:
        made = made + answered(weights @ low, value_weight @ up)
    made = rearrange(made, "h (b q) d -> b h q d", b=clips)
    if value_bias is None:
        return made
    bias = rearrange(value_bias, "(h d) -> h 1 d", h=heads).to(made.dtype)
    if not dropout:
        return made + bias
    total = rearrange(weights.sum(-1), "b (h q) -> b h q 1", h=heads)
    return made + einsum(total, bias, "b h q i, h i d -> b h q d")
