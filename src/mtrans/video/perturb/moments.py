"""Which moments of the clip are sampled; the frames themselves are untouched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtrans.video.perturb.registry import perturbation

Times = NDArray[np.float64]


@perturbation("moments", (0.1, 0.25, 0.4, 0.55, 0.7), "share of the clip cut off")
def crop(times: Times, low: float, high: float, level: float, rng: np.random.Generator) -> Times:
    """Only a part of the clip is left, at a random place; as many frames are taken from it.

    Args:
        times: float64[T] seconds that would be sampled.
        low: Clip's start.
        high: Clip's end.
        level: Share cut off.
        rng: Draws how much of that goes at the beginning.

    Returns:
        float64[T] within the part that is left.
    """
    before = float(rng.random()) * level * (high - low)
    return low + before + (times - low) * (1 - level)


@perturbation("moments", (0.75, 0.6, 0.5, 0.4, 0.25), "frame rate, against that of sampling")
def frame_rate(
    times: Times, low: float, high: float, level: float, rng: np.random.Generator
) -> Times:
    """A camera with fewer frames a second: each moment shows the last picture before it.

    Args:
        times: float64[T] seconds that would be sampled.
        low: Clip's start.
        high: Clip's end.
        level: Pictures of that camera for each sampled frame; 1 and more does nothing.
        rng: Not used.

    Returns:
        float64[T], some of them equal.
    """
    if level >= 1 or high <= low:
        return times
    pictures = max(1, round(len(times) * level))
    width = (high - low) / pictures
    return low + np.floor((times - low) / width + 1e-9) * width


@perturbation("moments", (0.85, 0.7, 0.55, 0.4, 0.25), "speed of the fastest part that is seen")
def slow_motion(
    times: Times, low: float, high: float, level: float, rng: np.random.Generator
) -> Times:
    """The clip runs slower, so that its frames reach only to a part of it.

    Args:
        times: float64[T] seconds that would be sampled.
        low: Clip's start.
        high: Clip's end.
        level: Speed; 1 does nothing.
        rng: Not used.

    Returns:
        float64[T] from the clip's start on.
    """
    return low + (times - low) * level
