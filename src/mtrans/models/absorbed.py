"""Cross-attention to patches without computing a key and a value for each patch.

    scores   q . (W_k x + b_k)           =  (q W_k) . x  + what is equal for all patches
    output   sum_p a_p (W_v x_p + b_v)   =  W_v (sum_p a_p x_p) + b_v sum_p a_p

A frame has many patches and few queries, so it is cheaper to bring the queries to the patches'
space than the patches to the queries'. The result is the same up to rounding; so are gradients,
low-rank pairs included, since they are added to the (small) weight first.
"""

from __future__ import annotations

from typing import Any, cast

from einops import einsum, rearrange
from torch import Tensor, nn
from torch.nn import functional as F


def effective_weight(linear: nn.Module) -> Tensor | None:
    """The matrix a linear layer multiplies with, its active low-rank pairs added.

    Args:
        linear: A linear layer, plain or inside PEFT's LoRA.

    Returns:
        float[out, in]; None where there is no such matrix: a quantised layer, dropout on the
        low-rank pair's input, or another kind of adapter.
    """
    base: Any = getattr(linear, "base_layer", linear)
    if type(base) is not nn.Linear or not base.weight.is_floating_point():
        return None
    weight = base.weight
    if base is linear:
        return weight
    layer = cast(Any, linear)
    if not hasattr(layer, "lora_A"):
        return None
    if layer.disable_adapters or layer.merged:
        return None if layer.merged and layer.disable_adapters else weight
    for name in layer.active_adapters:
        if name not in layer.lora_A:
            continue
        dropout = layer.lora_dropout[name]
        if getattr(layer, "use_dora", {}).get(name) or layer.lora_bias.get(name):
            return None
        if layer.training and getattr(dropout, "p", 0.0) > 0:
            return None
        a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
        weight = weight + ((b @ a) * layer.scaling[name]).to(weight.dtype)
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
    weights = F.dropout(weights, dropout) if dropout else weights
    seen = rearrange(weights @ patches, "b (h q) v -> h (b q) v", h=heads)
    mixed = rearrange(seen @ value_weight.to(seen.dtype), "h (b q) d -> b h q d", b=len(query))
    if value_bias is None:
        return mixed
    bias = rearrange(value_bias, "(h d) -> h 1 d", h=heads).to(mixed.dtype)
    if not dropout:
        return mixed + bias
    total = rearrange(weights.sum(-1), "b (h q) -> b h q 1", h=heads)
    return mixed + einsum(total, bias, "b h q i, h i d -> b h q d")
