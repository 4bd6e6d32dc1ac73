"""Frames of another clip in between, as in an edited film or a broken cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtrans.video.perturb.registry import perturbation

Pixels = NDArray[np.uint8]


@perturbation("cut_in", (0.15, 0.3, 0.45, 0.6, 0.75), "share of frames")
def cut_in(pixels: Pixels, other: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A run of frames comes from another clip of the same data.

    Args:
        pixels: uint8[T, H, W, 3].
        other: uint8[T', h, w, 3], scaled to the clip's size.
        level: Share of frames replaced, at least one and not all.
        rng: Draws where the run begins.

    Returns:
        uint8[T, H, W, 3].
    """
    frames, height, width = pixels.shape[:3]
    run = min(max(1, frames - 1), max(1, round(frames * level))) if level > 0 else 0
    begin = int(rng.random() * (frames - run + 1))
    made = pixels.copy()
    for place in range(begin, begin + run):
        image = Image.fromarray(other[min(place, len(other) - 1)])
        made[place] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return made
