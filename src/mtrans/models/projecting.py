"""Several linear layers on one input, their low-rank pairs included, in few products.

Query, key and value of an attention read the same input. Run one by one, each rounds it again,
each pair sends a matrix of the output's size through a product with a number and a sum, and on the
way back all their gradients of the input are added up. Here the frozen matrices are one product,
the pairs' first matrices another, and what a pair adds is added inside its second product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pair(NamedTuple):
    """A low-rank pair: `scaling * b @ a` is added to a matrix.

    Attributes:
        a: float[r, in].
        b: float[out, r].
        scaling: A number.
    """

    a: Tensor
    b: Tensor
    scaling: float


class Projection(NamedTuple):
    """What a linear layer multiplies with.

    Attributes:
        weight: float[out, in].
        bias: float[out], or None.
        pairs: Active low-rank pairs.
    """

    weight: Tensor
    bias: Tensor | None
    pairs: tuple[Pair, ...]


def taken_apart(linear: nn.Module) -> Projection | None:
    """Takes a linear layer apart into its matrices.

    Args:
        linear: A linear layer, plain, shared (:class:`mtrans.models.temporal.SharedLinear`) or
            inside PEFT's LoRA.

    Returns:
        Its parts; None where there are more than these: a quantised layer, dropout on the low-rank
        pair's input, or another kind of adapter.
    """
    layer: Any = linear
    base = getattr(layer, "base_layer", layer)
    source = getattr(base, "source", base)
    if type(source) is not nn.Linear or not source.weight.is_floating_point():
        return None
    if base is layer:
        return Projection(source.weight, source.bias, ())
    if not hasattr(layer, "lora_A") or (layer.merged and layer.disable_adapters):
        return None
    off = layer.merged or layer.disable_adapters
    names = [] if off else [name for name in layer.active_adapters if name in layer.lora_A]
    for name in names:
        if getattr(layer, "use_dora", {}).get(name) or layer.lora_bias.get(name):
            return None
        if layer.training and getattr(layer.lora_dropout[name], "p", 0.0) > 0:
            return None
    pairs = (
        Pair(layer.lora_A[n].weight, layer.lora_B[n].weight, float(layer.scaling[n])) for n in names
    )
    return Projection(source.weight, source.bias, tuple(pairs))


def project(x: Tensor, *layers: nn.Module) -> list[Tensor]:
    """Runs linear layers on one input.

    Args:
        x: float[..., in].
        *layers: Linear layers, all with a bias or all without. One that can't be taken apart or
            that somebody watches is called as it is, and so are all beside it.

    Returns:
        float[..., out] of each.
    """
    x = as_multiplied(x)
    parts = [None if _is_watched(layer) else taken_apart(layer) for layer in layers]
    if torch.compiler.is_compiling() or not _fit(x, parts):
        return [cast(Tensor, layer(x)) for layer in layers]
    known = cast(Sequence[Projection], parts)
    rows = x.flatten(0, -2)
    weight = _joined([part.weight for part in known])
    bias = None if known[0].bias is None else _joined([cast(Tensor, p.bias) for p in known])
    made = _cut(F.linear(rows, weight, bias), [len(part.weight) for part in known])
    pairs = [pair for part in known for pair in part.pairs]
    if pairs:
        low = F.linear(rows, _joined([pair.a for pair in pairs]))
        inner = iter(_cut(low, [len(pair.a) for pair in pairs]))
        made = [_with_pairs(y, part.pairs, inner) for y, part in zip(made, known, strict=True)]
    return [y.unflatten(0, x.shape[:-1]) for y in made]


def close(output: Any, mixed: Tensor, x: Tensor, dense: nn.Module | None = None) -> Tensor:
    """Ends an attention block: LayerNorm(x + dropout(dense(mixed))).

    Args:
        output: transformers' end of a block, with `dense`, `dropout` and `LayerNorm`. One that
            somebody watches is called as it is.
        mixed: float[..., C], what attention has gathered.
        x: float[..., C], the block's input.
        dense: A linear layer in place of its own.

    Returns:
        float[..., C].
    """
    if dense is None and _is_watched(output):
        return cast(Tensor, output(mixed, x))
    (made,) = project(mixed, output.dense if dense is None else dense)
    return cast(Tensor, output.LayerNorm(output.dropout(made) + x))


def as_multiplied(x: Tensor) -> Tensor:
    """Rounds to the type of products under autocast: once, where several read the same.

    Args:
        x: float[...].

    Returns:
        float[...], the same where there is no autocast.
    """
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _cut(made: Tensor, widths: list[int]) -> Sequence[Tensor]:
    """Undoes :func:`_joined` for what was multiplied; cutting off nothing would copy gradients."""
    return [made] if len(widths) == 1 else made.split(widths, dim=1)


def _with_pairs(y: Tensor, pairs: tuple[Pair, ...], inner: Any) -> Tensor:
    for pair in pairs:
        y = torch.addmm(y, next(inner), pair.b.mT, alpha=pair.scaling)
    return y


def _is_watched(layer: Any) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


def _fit(x: Tensor, parts: Sequence[Projection | None]) -> bool:
    """Whether all can be put together: known, and of one type where nothing casts them."""
    if any(part is None for part in parts):
        return False
    known = cast(Sequence[Projection], parts)
    if len({part.bias is None for part in known}) > 1:
        return False
    if torch.is_autocast_enabled(x.device.type):
        return True
    matrices = [m for part in known for m in (part.weight, *(n for p in part.pairs for n in p[:2]))]
    return all(m.dtype == x.dtype for m in matrices)
