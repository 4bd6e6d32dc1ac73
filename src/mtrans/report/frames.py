"""The frames a model saw of a clip, as pictures inside the page (``data:`` URIs)."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtrans.core.errors import VideoError
from mtrans.core.records import Prediction
from mtrans.core.settings import FrameSettings
from mtrans.video.clip import load_clip

MAX_HEIGHT = 160
"""Higher frames are scaled down to this, in pixels."""

MAX_FRAMES = 8
"""Of more frames than this, an evenly spaced part is shown."""


@dataclass(frozen=True)
class Picture:
    """One frame.

    Attributes:
        uri: ``data:image/...``.
        width: Pixels.
        height: Pixels.
        seconds: Presentation time.
    """

    uri: str
    width: int
    height: int
    seconds: float


@dataclass(frozen=True)
class Strip:
    """The frames of a clip, or why there are none.

    Attributes:
        pictures: The frames, in order of time.
        sampled: How many frames the model saw.
        problem: One line where the clip could not be read.
    """

    pictures: tuple[Picture, ...] = ()
    sampled: int = 0
    problem: str | None = None


def clip_strip(prediction: Prediction, settings: FrameSettings) -> Strip:
    """Reads the frames that the model saw, through the same code that fed it.

    Args:
        prediction: Its `video`, `start` and `end` say which clip.
        settings: How the run sampled frames.

    Returns:
        The strip; a clip that can't be read gives one that says why.
    """
    if prediction.video is None:
        return Strip(problem="the question came without a video")
    try:
        frames = load_clip(prediction.video, settings, prediction.start, prediction.end)
    except VideoError as error:
        return Strip(problem=f"no frames: {error}")
    count = len(frames.pixels)
    shown = np.unique(np.linspace(0, count - 1, min(count, MAX_FRAMES)).round().astype(int))
    pictures = tuple(to_picture(frames.pixels[i], float(frames.times[i])) for i in shown)
    return Strip(pictures=pictures, sampled=count)


def to_picture(pixels: NDArray[np.uint8], seconds: float) -> Picture:
    """Encodes uint8[H, W, 3]: as PNG where small, as JPEG where it had to be scaled down."""
    image = Image.fromarray(pixels)
    kind = "png"
    if image.height > MAX_HEIGHT:
        width = max(1, round(image.width * MAX_HEIGHT / image.height))
        image = image.resize((width, MAX_HEIGHT), Image.Resampling.LANCZOS)
        kind = "jpeg"
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **({"quality": 85} if kind == "jpeg" else {"optimize": True}))
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind};base64,{text}", image.width, image.height, seconds)
