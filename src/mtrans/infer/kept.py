"""Features of the clips asked about last: the ViT runs once a clip, however many questions follow.

What the Q-Former makes of a clip depends on the question, what the frozen ViT makes of it does not.
So a follow-up question costs neither decoding nor the ViT, which are nearly all of a first one.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtrans.core.records import Sample
from mtrans.data.clips import Clip, Source, clip_of

Encode: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""float32[T, 3, H, W] pixels -> float[T, P, Cv] patch features."""

KEPT_BYTES = 512 * 2**20
"""Of the features together; the clip asked about last is kept whatever its size."""


class KeptFeatures:
    """A source of features that encodes pixels as they are asked for and keeps what it made.

    Args:
        pixels: Source of pixels.
        encode: The frozen ViT.
        shape: (P, Cv) of its features.
        limit: Bytes of features that are kept; the longest unused go first.

    Attributes:
        seconds: Spent in the ViT so far.
    """

    def __init__(
        self, pixels: Source, encode: Encode, shape: tuple[int, int], *, limit: int = KEPT_BYTES
    ):
        self.pixels = pixels
        self.encode = encode
        self.shape = shape
        self.limit = limit
        self.seconds = 0.0
        self._kept: OrderedDict[Any, tuple[NDArray[np.floating], NDArray[np.float64]]] = (
            OrderedDict()
        )

    def get(self, sample: Sample) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        """Returns a clip's (features float[T, P, Cv], times float64[T]); not to be written to.

        Raises:
            VideoError: The clip can't be read.
        """
        key = _identity(clip_of(sample))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        pixels, times = self.pixels.get(sample)
        began = time.monotonic()
        features = np.asarray(self.encode(np.asarray(pixels, np.float32)))
        self.seconds += time.monotonic() - began
        self._kept[key] = (features, times)
        while len(self._kept) > 1 and sum(f.nbytes for f, _ in self._kept.values()) > self.limit:
            self._kept.popitem(last=False)
        return features, times

    def clear(self) -> None:
        """Forgets all clips."""
        self._kept.clear()

    def blank(self, count: int) -> NDArray[np.float32]:
        """Returns features float32[count, P, Cv] of zeros."""
        return np.zeros((count, *self.shape), np.float32)


def _identity(clip: Clip) -> tuple[Any, ...]:
    """Returns what tells a clip from others, and from one that had its file's name before."""
    try:
        found = os.stat(clip.video)
    except OSError:
        return (clip,)  # reading it says what is wrong
    return (clip, found.st_mtime_ns, found.st_size, found.st_ino)
