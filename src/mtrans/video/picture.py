"""Decoded frames -> upright RGB, the same on every machine."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from mtrans.video.orientation import orient, orientation

if TYPE_CHECKING:
    from numpy.typing import NDArray

# one thread a frame and exact rounding: the same pixels whatever the machine's cores and vector
# units. The faster conversion takes the nearest of the halved colours in place of interpolating
FLAGS = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

WAITING = 3
"""Decoded frames that may wait for the conversion beside the decoder."""

WORTH_A_THREAD = 2_000_000
"""Pixels of all frames together from which converting beside the decoder gains time."""

_own = threading.local()


def to_rgb(frame: Any) -> NDArray[np.uint8]:
    """Converts a frame.

    Args:
        frame: PyAV's.

    Returns:
        uint8 ``[H, W, 3]``, turned as it is to be shown; a view of the converted frame's memory.
    """
    # its tables are kept for the next frame, and for the next file of the same size
    if not hasattr(_own, "convert"):
        _own.convert = VideoReformatter()
    image = _own.convert.reformat(frame, format="rgb24", interpolation=FLAGS, threads=1)
    plane = image.planes[0]
    shape, strides = (image.height, image.width, 3), (plane.line_size, 3, 1)
    pixels: NDArray[np.uint8] = np.ndarray(shape, np.uint8, plane, strides=strides)
    return orient(pixels, orientation(frame))


class Pictures:
    """Converted frames, one beside the other.

    Args:
        count: How many.
        height: Of each, as shown.
        width: Of each, as shown.
        beside: Convert in a thread of its own, while the next frames are decoded.
    """

    def __init__(self, count: int, height: int, width: int, *, beside: bool) -> None:
        self._pixels: NDArray[np.uint8] = np.empty((count, height, width, 3), np.uint8)
        self._last: tuple[Any, int] | None = None
        self._copies: list[tuple[int, int]] = []
        worth = self._pixels.size // 3 >= WORTH_A_THREAD
        self._pool = ThreadPoolExecutor(1) if beside and worth else None
        self._waiting: deque[Future[None]] = deque()

    def put(self, place: int, frame: Any) -> None:
        """Takes a frame; one that is put twice in a row is converted once."""
        if self._last is not None and self._last[0] is frame:
            self._copies.append((place, self._last[1]))
            return
        self._last = (frame, place)
        if self._pool is None:
            self._draw(place, frame)
            return
        self._waiting.append(self._pool.submit(self._draw, place, frame))
        if len(self._waiting) > WAITING:
            self._waiting.popleft().result()

    def finish(self) -> NDArray[np.uint8]:
        """Returns uint8 ``[count, height, width, 3]`` when all is done."""
        for future in self._waiting:
            future.result()
        for place, first in self._copies:
            self._pixels[place] = self._pixels[first]
        return self._pixels

    def close(self) -> None:
        """Ends the thread; what waits is given up."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _draw(self, place: int, frame: Any) -> None:
        self._pixels[place] = to_rgb(frame)
