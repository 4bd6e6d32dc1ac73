"""A folder of numbered pictures, read as if it were a video.

    tvqa/frames_fps3_hq/CLIP/00001.jpg, 00002.jpg ...  --numeric order--> picture i shown at i / fps

Some sets give out frames in place of videos (TVQA, and MVBench's episodic reasoning on it). Nothing
in such a folder says how fast they were taken: `FPS_FILE` in it does, else they count as `FPS`.
MVBench's own reader takes the picture numbered t * fps for time t, though they are numbered from 1:
a picture, a third of a second, later than here.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mtrans.core.errors import VideoError
from mtrans.video.container import Frames, VideoInfo
from mtrans.video.reader import Reader, checked_times

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FPS = 3.0
"""Pictures a second where the folder does not say: TVQA's and MVBench's rate."""

FPS_FILE = "fps.txt"
"""A text file in the folder that holds one number: pictures a second."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""What counts as a picture; other files in the folder are passed over."""


class _Numbered(NamedTuple):
    number: int
    path: Path


class FrameFolder(Reader):
    """The pictures of a folder; the same use as `mtrans.video.decode.VideoReader`.

    Args:
        path: The folder. A picture's number is the last one in its name.

    Raises:
        VideoError: There are no pictures; one has no number or shares it; some are missing between
            others; the first can't be read; `FPS_FILE` holds no rate.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._pictures = _listed(self.path)
        self._fps = _rate(self.path)
        height, width, _ = self._read(0).shape
        count = len(self._pictures)
        self.info = VideoInfo(
            path=self.path,
            width=width,
            height=height,
            fps=self._fps,
            duration=count / self._fps,
            frames=count,
            codec="pictures",
            pixel_format="rgb24",
            has_audio=False,
            rotation=0,
        )

    def close(self) -> None:
        """Does nothing: no file stays open."""

    def read(self, times: ArrayLike) -> Frames:
        """Reads the pictures shown at the given times; see `mtrans.video.decode.read_frames`.

        Raises:
            VideoError: A picture can't be read, or has another size than the first.
        """
        wanted = checked_times(self.path, times)
        # a time that a rounding error put before a picture's start is that picture's
        places = np.clip(np.floor(wanted * self._fps + 1e-6), 0, len(self._pictures) - 1)
        places = places.astype(int)
        pixels = np.empty((len(wanted), self.info.height, self.info.width, 3), np.uint8)
        for place in np.unique(places):
            image = self._read(int(place))
            if image.shape != pixels.shape[1:]:
                height, width, _ = image.shape
                raise VideoError(
                    f"{self._pictures[place].path}: {width}x{height}, but the first picture is"
                    f" {self.info.width}x{self.info.height}; wanted one size in a folder"
                )
            pixels[places == place] = image
        return Frames(pixels, places / self._fps)

    def _read(self, place: int) -> NDArray[np.uint8]:
        path = self._pictures[place].path
        try:
            with Image.open(path) as image:
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
            why = " ".join(str(error).replace(str(path), "").split())
            raise VideoError(
                f"{path}: not a readable picture ({why}); get the folder again"
            ) from error


def pictures_of(folder: Path) -> list[Path]:
    """Returns the pictures of a folder, by name.

    Raises:
        VideoError: It can't be listed.
    """
    try:
        found = [
            p
            for p in folder.iterdir()
            if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
        ]
    except OSError as error:
        raise VideoError(f"{folder}: can't be listed: {error.strerror}; check the path") from error
    return sorted(found)


def _listed(folder: Path) -> list[_Numbered]:
    """Returns a folder's pictures in numeric order, after checking that they are complete."""
    pictures = []
    for path in pictures_of(folder):
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            raise VideoError(f"{path}: no number in its name; wanted pictures 00001.jpg, 00002.jpg")
        pictures.append(_Numbered(int(digits[-1]), path))
    if not pictures:
        raise VideoError(
            f"{folder}: a folder without pictures; wanted {', '.join(SUFFIXES)} numbered in order,"
            " or a video file"
        )
    pictures.sort()
    step = min((b.number - a.number for a, b in pairwise(pictures)), default=1)
    for before, after in pairwise(pictures):
        if before.number == after.number:
            raise VideoError(
                f"{folder}: '{before.path.name}' and '{after.path.name}' have the same number;"
                " leave one clip's pictures in a folder"
            )
        if step and after.number - before.number != step:
            raise VideoError(
                f"{folder}: pictures are missing between '{before.path.name}' and"
                f" '{after.path.name}' (others are {step} apart); get the folder again"
            )
    return pictures


def _rate(folder: Path) -> float:
    file = folder / FPS_FILE
    if not file.exists():
        return FPS
    try:
        rate = float(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise VideoError(f"{file}: wanted one number above 0, pictures a second")
    return rate
