"""How features lie on disk: as they are, in 16 bit, or in 8 bit with a scale for every token.

    float32   4 bytes a number        float16   2 bytes, 11 bits kept
    int8      1 byte a number, and for each token (the last axis) one float32 scale = max |x| / 127

An int8 number is off by at most half a scale: 0.4 % of its token's largest number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Form: TypeAlias = Literal["float32", "float16", "int8"]

FORMS: tuple[Form, ...] = ("float32", "float16", "int8")
ITEM_BYTES = {"float32": 4, "float16": 2, "int8": 1}
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
    if form != "int8":
        return np.ascontiguousarray(features, dtype=form).tobytes()
    numbers, scales = quantise(features)
    return numbers.tobytes() + scales.tobytes()


def unpack(raw: NDArray[np.uint8], shape: Sequence[int], form: str) -> NDArray[np.floating]:
    """Inverse of :func:`pack`.

    Args:
        raw: The bytes.
        shape: Of the features.
        form: How they were packed.

    Returns:
        float32[*shape] of int8, made anew; else a view of `raw` in its own type.
    """
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
