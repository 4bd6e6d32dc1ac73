"""Which sampled frame stands in which place.

Each function gives two int64 arrays: whose content is shown, and whose time it is shown at. They
serve pixels and cached features alike, since a frozen ViT sees every frame by itself.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtrans.video.perturb.registry import perturbation

Places: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]


@perturbation("order", (0.15, 0.3, 0.45, 0.6, 0.75), "share of frames lost")
def drop(frames: int, level: float, rng: np.random.Generator) -> Places:
    """Random frames are lost; at least one stays, each with its own time.

    Args:
        frames: `T`.
        level: Share lost, rounded to frames, at least one where there are two.
        rng: Draws which.

    Returns:
        Content and times, both the frames that stay.
    """
    lost = min(frames - 1, max(1, round(frames * level))) if level > 0 else 0
    order = rng.permutation(frames)  # the first `lost` of one order: more severe loses more
    kept = np.sort(order[lost:]).astype(np.int64)
    return kept, kept


@perturbation("order", (0.15, 0.3, 0.45, 0.6, 0.75), "share of frames after the picture stops")
def freeze(frames: int, level: float, rng: np.random.Generator) -> Places:
    """The picture stops towards the end while the time goes on.

    Args:
        frames: `T`.
        level: Share of frames that repeat the last one before them; at least one.
        rng: Not used.

    Returns:
        Content and times.
    """
    times = np.arange(frames, dtype=np.int64)
    stopped = min(frames - 1, max(1, round(frames * level))) if level > 0 else 0
    return np.minimum(times, frames - 1 - stopped), times


@perturbation("order", (0.2, 0.4, 0.6, 0.8, 1.0), "share of frames out of place")
def shuffle(frames: int, level: float, rng: np.random.Generator) -> Places:
    """Frames change places while the times stay.

    Args:
        frames: `T`.
        level: Share of frames that change places, at least two; none of those stays in its own.
        rng: Draws which.

    Returns:
        Content and times.
    """
    times = np.arange(frames, dtype=np.int64)
    moved = min(frames, max(2, round(frames * level))) if level > 0 else 0
    if moved < 2:
        return times, times
    chosen = rng.permutation(frames)[:moved]
    content = times.copy()
    content[chosen] = np.roll(chosen, 1)  # a cycle through random places: nobody stays at home
    return content, times


@perturbation("order", (1.0,), "all frames")
def reverse(frames: int, level: float, rng: np.random.Generator) -> Places:
    """The clip runs backwards.

    Args:
        frames: `T`.
        level: 0 does nothing.
        rng: Not used.

    Returns:
        Content and times.
    """
    times = np.arange(frames, dtype=np.int64)
    return (times[::-1].copy() if level > 0 else times), times


@perturbation("order", (1.0,), "all frames")
def still(frames: int, level: float, rng: np.random.Generator) -> Places:
    """A single frame, the middle one, in all places.

    Args:
        frames: `T`.
        level: 0 does nothing.
        rng: Not used.

    Returns:
        Content and times.
    """
    times = np.arange(frames, dtype=np.int64)
    return (np.full_like(times, (frames - 1) // 2) if level > 0 else times), times
