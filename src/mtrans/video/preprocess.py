"""Frames -> the numbers a frozen ViT was trained on, equal to transformers' Blip image processor.

    uint8[T, H, W, 3] --PIL resize--> --* rescale--> --(x - mean) / std--> float32[T, 3, H', W']

Needs Pillow only; transformers' own processor asks for torchvision in its default form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from einops import rearrange
from PIL import Image

from mtrans.core.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# OpenAI CLIP's statistics, which the BLIP family uses (transformers.image_utils.OPENAI_CLIP_MEAN)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class PreprocessSettings:
    """What is done to a frame's pixels."""

    height: int = 224
    """Pixels down after resizing."""

    width: int = 224
    """Pixels across after resizing."""

    mean: tuple[float, float, float] = CLIP_MEAN
    """Subtracted per channel, after rescaling."""

    std: tuple[float, float, float] = CLIP_STD
    """Divided by per channel."""

    rescale: float = 1 / 255
    """Factor on the 0..255 values."""

    resample: int = int(Image.Resampling.BICUBIC)
    """Pillow's resampling filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise SettingsError(f"preprocess size {self.height}x{self.width}: at least 1x1")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise SettingsError(
                f"preprocess mean={self.mean}, std={self.std}: wanted three numbers each, std not 0"
            )
        if self.resample not in range(6):
            raise SettingsError(
                f"preprocess resample={self.resample}: wanted 0 to 5, Pillow's filters"
            )


def preprocess(pixels: NDArray[np.uint8], s: PreprocessSettings) -> NDArray[np.float32]:
    """Resizes, rescales and normalises frames.

    Args:
        pixels: uint8 ``[T, H, W, 3]`` RGB.
        s: The backbone's settings.

    Returns:
        float32 ``[T, 3, H', W']``.

    Raises:
        SettingsError: `pixels` has another shape or dtype.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise SettingsError(
            f"preprocess got {pixels.dtype}{list(pixels.shape)}; wanted uint8[T, H, W, 3]"
        )
    if pixels.shape[1:3] != (s.height, s.width):
        filter_ = Image.Resampling(s.resample)
        pixels = np.stack(
            [
                np.asarray(Image.fromarray(image).resize((s.width, s.height), filter_))
                for image in np.ascontiguousarray(pixels)
            ]
        )
    # float64 until the rescaling is done, then float32: the order in which transformers rounds
    scaled = (pixels.astype(np.float64) * s.rescale).astype(np.float32)
    normal = (scaled - np.asarray(s.mean, np.float32)) / np.asarray(s.std, np.float32)
    return np.ascontiguousarray(rearrange(normal, "t h w c -> t c h w"))


def from_processor_config(config: Mapping[str, Any]) -> PreprocessSettings:
    """Reads a checkpoint's ``preprocessor_config.json``.

    Args:
        config: The file's content, or what an image processor's ``to_dict()`` returns. Steps that
            are off (``do_rescale``, ``do_normalize``) become factors of one and means of zero.

    Raises:
        SettingsError: The processor does something that `preprocess` does not.
    """
    config = config.get("image_processor", config)
    size = config.get("size", {"height": 384, "width": 384})
    if isinstance(size, int):
        size = {"height": size, "width": size}
    if not {"height", "width"} <= {key for key, value in size.items() if value}:
        raise SettingsError(
            f"image processor size={dict(size)}; only an exact height and width is known"
        )
    for step in ("do_center_crop", "do_pad"):
        if config.get(step):
            raise SettingsError(
                f"image processor has {step}=true, which is not done here; set it to false"
            )
    if config.get("do_resize", True) is False:
        raise SettingsError("image processor has do_resize=false; a ViT needs frames of one size")
    normalise = config.get("do_normalize", True)
    mean = config.get("image_mean", CLIP_MEAN) if normalise else (0.0, 0.0, 0.0)
    std = config.get("image_std", CLIP_STD) if normalise else (1.0, 1.0, 1.0)
    factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    return PreprocessSettings(
        height=int(size["height"]),
        width=int(size["width"]),
        mean=(float(mean[0]), float(mean[1]), float(mean[2])),
        std=(float(std[0]), float(std[1]), float(std[2])),
        rescale=float(factor),
        resample=int(config.get("resample", Image.Resampling.BICUBIC)),
    )
