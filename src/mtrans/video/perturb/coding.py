"""Compressed again: as files look that went through a messenger or an old camera."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtrans.video.decode import open_video
from mtrans.video.perturb.registry import perturbation
from mtrans.video.write import write_video

Pixels = NDArray[np.uint8]

_FPS = 10.0  # of the file that is written and read back; H.264 asks for one


@perturbation("pixels", (60, 35, 18, 9, 4), "JPEG quality")
def jpeg(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Each frame through JPEG.

    Args:
        pixels: uint8[T, H, W, 3].
        level: Quality, 1 to 95; 0 does nothing.
        rng: Not used.

    Returns:
        uint8[T, H, W, 3].
    """
    if not level:
        return pixels
    made = []
    for frame in pixels:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, format="jpeg", quality=int(level))
        with Image.open(buffer) as image:
            made.append(np.asarray(image.convert("RGB")))
    return np.stack(made)


@perturbation("pixels", (28, 34, 40, 46, 51), "H.264 rate factor")
def h264(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """The sampled frames, as a film, through H.264.

    Args:
        pixels: uint8[T, H, W, 3].
        level: x264's constant rate factor, 51 the worst; 0 does nothing.
        rng: Not used.

    Returns:
        uint8[T, H, W, 3].
    """
    if not level:
        return pixels
    height, width = pixels.shape[1:3]
    odd = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, np.pad(pixels, odd, mode="edge"), _FPS, crf=int(level))
        with open_video(path) as video:
            read = video.read((np.arange(len(pixels)) + 0.5) / _FPS).pixels
    return np.ascontiguousarray(read[:, :height, :width])
