"""How features lie on disk: as they are, in 16 bit, or in 8 bit with a scale for every token.

    float32   4 bytes a number        float16   2 bytes, 11 bits kept
    bfloat16  2 bytes: what a model that computes in bf16 gives, without loss
    int8      1 byte a number, and for each token (the last axis) one float32 scale = max |x| / 127

An int8 number is off by at most half a scale: 0.4 % of its token's largest number.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Form: TypeAlias = Literal["float32", "float16", "bfloat16", "int8"]

FORMS: tuple[Form, ...] = ("float32", "float16", "bfloat16", "int8")
ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
SCALE_BYTES = 4
LARGEST = 127


def stored_bytes(shape: Sequence[int], form: str) -> int:
    """Returns the bytes that features of a shape take.

    Args:
        shape: Tokens along the last axis.
        form: One of :data:`FORMS`.
    """
    scales = math.prod(shape[:-1]) * SCALE_BYTES if form == "int8" else 0
    return math.prod(shape) * ITEM_BYTES[form] + scales


def pack(features: NDArray[np.floating], form: str) -> bytes:
    """Turns features into bytes.

    Args:
        features: float[..., C], finite.
        form: One of :data:`FORMS`.

    Returns:
        Numbers, and for int8 the scales behind them.
    """
    if form == "bfloat16":
        import torch  # what numpy does not know; whoever only counts bytes does not wait for it

        whole = np.ascontiguousarray(features, dtype=np.float32)
        return torch.from_numpy(whole).to(torch.bfloat16).view(torch.int16).numpy().tobytes()
    if form != "int8":
        return np.ascontiguousarray(features, dtype=form).tobytes()
    numbers, scales = quantise(features)
    return numbers.tobytes() + scales.tobytes()


def fits_bfloat16(features: NDArray[np.floating]) -> bool:
    """Whether bf16 holds every number of float32 features as it is."""
    return features.dtype == np.float32 and not (features.view(np.uint32) & 0xFFFF).any()


def unpack(
    raw: NDArray[np.uint8], shape: Sequence[int], form: str
) -> NDArray[np.floating] | Tensor:
    """Inverse of :func:`pack`.

    Args:
        raw: The bytes.
        shape: Of the features.
        form: How they were packed.

    Returns:
        float32[*shape] of int8, made anew; else a view of `raw` in its own type, which of bfloat16
        is a tensor: numpy does not know it.
    """
    if form == "bfloat16":
        import torch

        return as_tensor(raw.view(np.int16)).view(torch.bfloat16).view(*shape)
    if form != "int8":
        return raw.view(form).reshape(shape)
    count = math.prod(shape)
    scales = raw[count:].view(np.float32).reshape(*shape[:-1], 1)
    return dequantise(raw[:count].view(np.int8).reshape(shape), scales)


def quantise(features: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds each token to 8 bit.

    Args:
        features: float[..., C].

    Returns:
        int8[..., C] and scale float32[..., 1]; a token of zeros has scale 0.
    """
    largest = np.abs(features).max(axis=-1, keepdims=True).astype(np.float32)
    scales = largest / np.float32(LARGEST)
    # the smallest scales underflow to 0 or near it: what they would tell apart is 0 as well
    safe = np.where(scales > np.finfo(np.float32).tiny, scales, np.float32(1))
    numbers = np.rint(features.astype(np.float32) / safe)
    return np.clip(numbers, -LARGEST, LARGEST).astype(np.int8), scales


def dequantise(numbers: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverse of :func:`quantise`, up to half a scale.

    Args:
        numbers: int8[..., C].
        scales: float32[..., 1].

    Returns:
        float32[..., C].
    """
    return np.multiply(numbers, scales, dtype=np.float32)


def as_tensor(values: NDArray[np.generic] | Tensor) -> Tensor:
    """Returns the same memory as a tensor; it is only read, as cached features have to be."""
    import torch

    if isinstance(values, torch.Tensor):
        return values
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(values)
