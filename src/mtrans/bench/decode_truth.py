"""Which frames are right: those that decoding the whole file gives, converted with exact rounding.

A reader returns another frame than was asked for if the frame before or after the wanted one looks
more like what came, by brightness: readers convert colours each in its own way.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mtrans.bench.decode_readers import Got, Wanted
from mtrans.core.settings import FrameSettings
from mtrans.video.container import lacks_pts, open_container
from mtrans.video.decode import probe
from mtrans.video.picture import to_rgb
from mtrans.video.sampling import sample_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEARER = 0.05
"""Levels by which a neighbour must be nearer to count: less is noise of the conversion."""

NO_TIME = 1e9
"""Seconds no timestamp reaches; beyond it lies what a library makes of a missing one."""


@dataclass(frozen=True)
class Truth:
    """What is to come out.

    Attributes:
        wanted: What to ask for.
        times: float64 ``[T]`` seconds from the first frame.
        start: The first frame's own timestamp, seconds.
        interval: Seconds from a frame to the next, the median.
        pixels: Number of a frame -> uint8 ``[H, W, 3]``, of wanted ones and their neighbours.
    """

    wanted: Wanted
    times: NDArray[np.float64]
    start: float
    interval: float
    pixels: dict[int, NDArray[np.uint8]]


@dataclass(frozen=True)
class Verdict:
    """How right a reader's frames are.

    Attributes:
        frames: How many were wanted.
        others: Another frame came.
        late: Largest error of a timestamp, in frames; None where the reader tells no times.
        difference: Mean absolute difference of pixels, in levels of 255.
    """

    frames: int
    others: int
    late: float | None
    difference: float


class _Stamps(NamedTuple):
    """When a file's frames are shown."""

    times: NDArray[np.float64]
    """Seconds from the first."""

    start: float
    """The first frame's own timestamp, seconds."""

    tolerance: float
    """Half a tick of the file's clock, at most half a millisecond."""


def wanted_frames(path: str, count: int) -> Wanted:
    """Returns which frames ours takes from a file: the centres of equal parts.

    Raises:
        VideoError: Not a readable video.
    """
    stamps = _stamps(path)
    asked = sample_times(FrameSettings(count=count), duration=probe(path).duration)
    numbers = np.searchsorted(stamps.times, asked + stamps.tolerance, side="right") - 1
    return Wanted(path, count, [max(int(n), 0) for n in numbers])


def truth(path: str, count: int) -> Truth:
    """Decodes a whole file twice: for the times, and for the wanted frames.

    Raises:
        VideoError: Not a readable video.
    """
    stamps, wanted = _stamps(path), wanted_frames(path, count)
    numbers = np.asarray(wanted.numbers)
    near = set((numbers[:, None] + np.arange(-1, 2)).ravel().tolist())
    pixels = {}
    with open_container(path) as container:
        for number, frame in enumerate(container.decode(container.streams.best("video"))):
            if number in near:
                pixels[number] = to_rgb(frame)
    interval = float(np.median(np.diff(stamps.times))) if len(stamps.times) > 1 else 1.0
    return Truth(wanted, stamps.times[numbers], stamps.start, interval, pixels)


@functools.lru_cache(maxsize=256)
def _stamps(path: str) -> _Stamps:
    with open_container(path) as container:
        stream = container.streams.best("video")
        tick = float(stream.time_base)
        # an AVI stores no presentation times, and FFmpeg's guess of them is out of order
        by_dts = lacks_pts(container)
        stamps = [f.dts if by_dts else f.pts for f in container.decode(stream)]
    fps = float(stream.average_rate or stream.guessed_rate)
    start = (stamps[0] or 0) * tick
    times = [i / fps if s is None else s * tick - start for i, s in enumerate(stamps)]
    return _Stamps(np.asarray(times), start, min(tick / 2, 0.0005) + 1e-9)


def judge(right: Truth, got: Got) -> Verdict:
    """Compares what a reader returned with the truth."""
    numbers = right.wanted.numbers
    if len(got.pixels) != len(numbers) or got.pixels.shape[1:] != right.pixels[numbers[0]].shape:
        return Verdict(len(numbers), len(numbers), None, float("nan"))
    others, differences = 0, []
    for image, number in zip(got.pixels, numbers, strict=True):
        grey = _grey(image)
        own = _difference(grey, _grey(right.pixels[number]))
        beside = [
            _difference(grey, _grey(right.pixels[n]))
            for n in (number - 1, number + 1)
            if n in right.pixels
        ]
        others += any(other < own - NEARER for other in beside)
        differences.append(_difference(image, right.pixels[number]))
    late = None
    if len(got.times) == len(numbers) and (np.abs(got.times) < NO_TIME).all():
        # a reader may count from the first frame, or give the file's own timestamps
        errors = [np.abs(got.times - zero - right.times).max() for zero in (0.0, right.start)]
        late = float(min(errors) / right.interval)
    return Verdict(len(numbers), others, late, float(np.mean(differences)))


def _grey(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return image.astype(np.float32) @ np.asarray([0.299, 0.587, 0.114], np.float32)


def _difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(np.float32) - b).mean())
