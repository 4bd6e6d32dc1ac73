"""Which moments of a clip are looked at: pure functions of numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mtrans.core.errors import VideoError
from mtrans.core.settings import FrameSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sample_times(
    settings: FrameSettings,
    *,
    duration: float,
    start: float | None = None,
    end: float | None = None,
) -> NDArray[np.float64]:
    """Returns the times at which frames are taken.

    ``uniform`` takes the centres of T equal parts of the window, so one frame is its middle.
    ``fps`` takes one frame every ``1/fps`` seconds from the window's start: possibly fewer than
    ``count``; where it gives more, the centres of ``count`` equal runs of them remain.

    Args:
        settings: ``count``, ``sampling`` and ``fps``.
        duration: Seconds the video lasts; 0 (a single frame) gives times 0.
        start: Window's start in seconds; None is 0.
        end: Window's end in seconds; None, and anything later, is ``duration``.

    Returns:
        float64 ``[T]`` ascending seconds within the window, 1 <= T <= ``count``.

    Raises:
        VideoError: The window is empty or begins before 0 or after the video's end.
    """
    low = 0.0 if start is None else float(start)
    high = float(duration) if end is None else min(float(end), float(duration))
    if not (math.isfinite(duration) and duration >= 0):
        raise VideoError(f"duration={duration}; wanted seconds >= 0")
    if not low >= 0 or (end is not None and not end > low):
        raise VideoError(f"clip from start={start} to end={end}; wanted 0 <= start < end (seconds)")
    if low > 0 and low >= duration:
        raise VideoError(
            f"clip starts at {low:g} s, but the video lasts {duration:g} s; lower start"
        )
    length = high - low
    if settings.sampling == "fps":
        rate = float(settings.fps or 1.0)
        # a product a rounding error above a whole number must not give one frame more
        available = max(1, math.ceil(length * rate - 1e-6))
        count = min(settings.count, available)
        # whole numbers, for exactness: the middle of run i, (i + 1/2) * available / count
        picks = (2 * np.arange(count) + 1) * available // (2 * count)
        return np.asarray(low + picks / rate, np.float64)
    parts = (np.arange(settings.count) + 0.5) * (length / settings.count)
    return np.asarray(low + parts, np.float64)
