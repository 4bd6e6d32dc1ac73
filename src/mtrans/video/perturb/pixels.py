"""What is in the frames. All functions: uint8[T, H, W, 3] -> uint8 of the same shape.

Sizes are shares of the shorter side and grey levels are of 255, so that a severity means the same
on a clip of 64 pixels as on one of 1080.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mtrans.video.perturb.registry import perturbation

Pixels = NDArray[np.uint8]


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@perturbation("pixels", (0.02, 0.05, 0.1, 0.18, 0.3), "standard deviation, of the grey scale")
def noise(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise, new in each frame.

    Args:
        pixels: uint8[T, H, W, 3].
        level: Standard deviation, 1 is the whole grey scale.
        rng: Draws the noise.

    Returns:
        uint8[T, H, W, 3].
    """
    return _bytes(pixels + 255 * level * rng.standard_normal(pixels.shape, np.float32))


@perturbation("pixels", (0.01, 0.02, 0.04, 0.07, 0.12), "radius, of the shorter side")
def blur(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur.

    Args:
        pixels: uint8[T, H, W, 3].
        level: Standard deviation of the kernel as a share of the shorter side.
        rng: Not used.

    Returns:
        uint8[T, H, W, 3].
    """
    kernel = ImageFilter.GaussianBlur(level * min(pixels.shape[1:3]))
    return np.stack([np.asarray(Image.fromarray(frame).filter(kernel)) for frame in pixels])


@perturbation("pixels", (0.1, 0.2, 0.3, 0.45, 0.6), "of the grey scale, up or down")
def brightness(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Brighter or darker; which of the two is drawn for the clip.

    Args:
        pixels: uint8[T, H, W, 3].
        level: What is added or taken away, 1 is the whole grey scale.
        rng: Draws the sign.

    Returns:
        uint8[T, H, W, 3].
    """
    sign = 1 if rng.random() < 0.5 else -1
    return _bytes(pixels.astype(np.float32) + sign * 255 * level)


@perturbation("pixels", (0.2, 0.4, 0.6, 0.75, 0.9), "share of the contrast lost")
def contrast(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Less contrast: all colours go towards the clip's mean.

    Args:
        pixels: uint8[T, H, W, 3].
        level: Share lost; 1 leaves one colour.
        rng: Not used.

    Returns:
        uint8[T, H, W, 3].
    """
    middle = pixels.mean(dtype=np.float64)
    return _bytes(middle + (pixels.astype(np.float32) - middle) * (1 - level))


@perturbation("pixels", (0.05, 0.1, 0.2, 0.35, 0.5), "share of the area")
def occlusion(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A grey patch stands before the picture, in the same place in all frames.

    Args:
        pixels: uint8[T, H, W, 3].
        level: Share of the area.
        rng: Draws the place.

    Returns:
        uint8[T, H, W, 3].
    """
    height, width = pixels.shape[1:3]
    tall, wide = (round(side * level**0.5) for side in (height, width))
    top, left = (int(rng.random() * (a - b + 1)) for a, b in ((height, tall), (width, wide)))
    made = pixels.copy()
    made[:, top : top + tall, left : left + wide] = 128
    return made


@perturbation("pixels", (0.1, 0.2, 0.3, 0.4, 0.5), "share of the height that is black")
def letterbox(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """The picture is squeezed between black bars, as wide film on a television.

    Args:
        pixels: uint8[T, H, W, 3].
        level: Share of the height that the bars take; the picture is scaled, nothing is cut.
        rng: Not used.

    Returns:
        uint8[T, H, W, 3].
    """
    height, width = pixels.shape[1:3]
    inner = max(1, round(height * (1 - level)))
    across = max(1, round(width * inner / height))
    top, left = (height - inner) // 2, (width - across) // 2
    made = np.zeros_like(pixels)
    for place, frame in zip(made, pixels, strict=True):
        small = Image.fromarray(frame).resize((across, inner), Image.Resampling.BILINEAR)
        place[top : top + inner, left : left + across] = np.asarray(small)
    return made


@perturbation("pixels", (1.0,), "all frames")
def blank(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Nothing to see: every frame is black.

    Args:
        pixels: uint8[T, H, W, 3].
        level: 0 does nothing.
        rng: Not used.

    Returns:
        uint8[T, H, W, 3].
    """
    return np.zeros_like(pixels) if level > 0 else pixels
