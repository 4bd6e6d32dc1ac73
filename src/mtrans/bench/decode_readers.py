"""Ways to get wanted frames out of a video file: ours, and what people use.

Every reader gets the numbers of the wanted frames and the times at which they are shown, and takes
what suits it; each is used with its own defaults, as its documentation shows. What it needs is
imported when it is made, so that a reader can be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Wanted:
    """What is asked of a reader.

    Attributes:
        path: The file.
        count: Frames.
        numbers: Their numbers in the order in which they are shown, from 0, ascending.
    """

    path: str
    count: int
    numbers: Sequence[int]


@dataclass(frozen=True)
class Got:
    """What a reader returned.

    Attributes:
        pixels: uint8 ``[T, H, W, 3]`` RGB.
        times: float64 ``[T]`` seconds, as the reader tells them; empty where it tells none.
    """

    pixels: NDArray[np.uint8]
    times: NDArray[np.float64]


Read: TypeAlias = Callable[[Wanted], Got]


def _ours() -> Read:
    from mtrans.core.settings import FrameSettings
    from mtrans.video.clip import load_clip

    def read(wanted: Wanted) -> Got:
        frames = load_clip(wanted.path, FrameSettings(count=wanted.count))
        return Got(frames.pixels, frames.times)

    return read


def _pyav() -> Read:
    """Decodes the whole stream and keeps what is wanted, as LLaMA-Factory does."""
    from mtrans.video.container import open_container

    def read(wanted: Wanted) -> Got:
        chosen = set(wanted.numbers)
        kept, times = [], []
        with open_container(wanted.path) as container:
            stream = container.streams.best("video")
            for number, frame in enumerate(container.decode(stream)):
                if number in chosen:
                    kept.append(frame.to_ndarray(format="rgb24"))
                    times.append(np.nan if frame.time is None else float(frame.time))
        return _repeated(wanted, np.stack(kept), np.asarray(times))

    return read


def _decord() -> Read:
    import decord

    def read(wanted: Wanted) -> Got:
        video = decord.VideoReader(wanted.path)
        pixels = video.get_batch(list(wanted.numbers)).asnumpy()
        times = video.get_frame_timestamp(list(wanted.numbers))[:, 0]
        return Got(pixels, np.asarray(times, np.float64))

    return read


def _torchcodec(seek_mode: Literal["exact", "approximate"]) -> Callable[[], Read]:
    def make() -> Read:
        from torchcodec.decoders import VideoDecoder

        def read(wanted: Wanted) -> Got:
            video = VideoDecoder(wanted.path, dimension_order="NHWC", seek_mode=seek_mode)
            got = video.get_frames_at(list(wanted.numbers))
            return Got(got.data.numpy(), got.pts_seconds.numpy())

        return read

    return make


def _opencv(seek: bool) -> Callable[[], Read]:
    """Seeks to each wanted frame; or grabs them all and converts what is wanted."""

    def make() -> Read:
        import cv2

        def take(video: Any) -> tuple[NDArray[np.uint8], float]:
            good, image = video.retrieve()
            if not good:
                raise ValueError("no frame could be retrieved")
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), video.get(cv2.CAP_PROP_POS_MSEC) / 1000

        def read(wanted: Wanted) -> Got:
            video = cv2.VideoCapture(wanted.path)
            kept, at = [], 0
            for number in dict.fromkeys(wanted.numbers):
                if seek:
                    video.set(cv2.CAP_PROP_POS_FRAMES, number)
                    at = number
                while at <= number:
                    if not video.grab():
                        raise ValueError(f"frame {at} could not be read")
                    at += 1
                kept.append(take(video))
            video.release()
            times = np.asarray([time for _, time in kept])
            return _repeated(wanted, np.stack([image for image, _ in kept]), times)

        return read

    return make


def _repeated(wanted: Wanted, pixels: NDArray[np.uint8], times: NDArray[np.float64]) -> Got:
    """Gives a frame that is wanted twice twice."""
    distinct = sorted(set(wanted.numbers))
    if len(distinct) == len(wanted.numbers):
        return Got(pixels, times)
    places = np.searchsorted(distinct, wanted.numbers)
    return Got(pixels[places], times[places])


OURS = "mtrans"

READERS: dict[str, Callable[[], Read]] = {
    OURS: _ours,
    "PyAV, all frames": _pyav,
    "decord2": _decord,
    "torchcodec": _torchcodec("exact"),
    "torchcodec, approximate": _torchcodec("approximate"),
    "OpenCV, seeking": _opencv(seek=True),
    "OpenCV, grabbing": _opencv(seek=False),
}
"""Name -> makes a reader; raises what importing raises where its library is not there."""
