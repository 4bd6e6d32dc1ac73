"""A media file, opened: what it claims of itself, and errors that say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from mtrans.core.errors import VideoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# containers that store no presentation times: FFmpeg derives them, with B-frames in wrong order
_NO_PTS = {"avi"}


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of its video stream; nothing here is checked against every frame."""

    path: Path
    """The file."""
    width: int
    """Pixels across, as shown (after rotation)."""
    height: int
    """Pixels down, as shown (after rotation)."""
    fps: float | None
    """Frames a second on average; None where the file does not say."""
    duration: float
    """Seconds from the first frame to the end of the last, as claimed or else measured."""
    frames: int | None
    """Frames that the header claims; None where it claims none."""
    codec: str
    """The decoder's name, e.g. `h264`."""
    pixel_format: str
    """The stored format, e.g. `yuv420p10le`."""
    has_audio: bool
    """There is a sound stream."""
    rotation: int
    """Degrees (0, 90, 180, 270) by which stored frames are turned clockwise to be shown."""


@dataclass(frozen=True)
class Frames:
    """Decoded frames."""

    pixels: NDArray[np.uint8]
    """uint8 ``[T, H, W, 3]`` RGB, upright."""
    times: NDArray[np.float64]
    """float64 ``[T]``: when each is really shown, in seconds from the stream's first."""


def open_container(path: str | Path) -> Any:
    """Opens a local media file, with errors that name it and say what to do.

    Raises:
        VideoError: Missing, empty, or not a media file.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path}: no such file; check the path")
    try:
        if not path.stat().st_size:
            raise VideoError(f"{path}: the file is empty; get or export it again")
        # metadata are not needed, and bad UTF-8 in them must not hide good frames
        return av.open(str(path), metadata_errors="ignore")
    except (OSError, av.error.FFmpegError) as error:
        raise VideoError(
            f"{path}: not a readable video ({reason(error)}): another kind of file, or cut off"
            " before its index; get or export it again"
        ) from error


def lacks_pts(container: Any) -> bool:
    """Returns whether frames must be timed by their decoding times."""
    return bool(_NO_PTS & set(container.format.name.split(",")))


def claimed_duration(path: Path, container: Any, stream: Any, zero: int) -> float:
    """What the stream says of its length, or else the container, or else a scan.

    Args:
        path: The file, to be read once more where nothing is said.
        container: The open file.
        stream: Its video stream.
        zero: Timestamp of the first frame, in the stream's ticks.

    Returns:
        Seconds from the first frame to the end of the last.
    """
    tick = float(stream.time_base)
    first = zero * tick
    if stream.duration and lacks_pts(container):
        return float(stream.duration * tick)  # a count of frames, wherever they start
    if stream.duration:
        start = stream.start_time if stream.start_time is not None else zero
        return max(stream.duration * tick + start * tick - first, 0.0)
    tagged = _seconds(stream.metadata.get("DURATION", ""))
    if tagged is not None:
        return max(tagged - first, 0.0)
    if container.duration and len(container.streams) == 1:
        return max((container.duration + (container.start_time or 0)) / av.time_base - first, 0.0)
    return max(_scan(path, stream.index) - first, 0.0)


def _scan(path: Path, index: int) -> float:
    """Reads a stream's packets without decoding them, to learn when the last frame ends."""
    end = 0.0
    with open_container(path) as container:
        stream = container.streams[index]
        tick = float(stream.time_base)
        try:
            for packet in container.demux(stream):
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is not None:
                    end = max(end, (stamp + (packet.duration or 0)) * tick)
        except av.error.FFmpegError:
            pass  # what can be read is what there is; decoding reports damage where it matters
    return end


def _seconds(clock: str) -> float | None:
    """Reads Matroska's ``HH:MM:SS.fraction``."""
    try:
        hours, minutes, seconds = (float(part) for part in clock.split(":"))
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds


def reason(error: Exception) -> str:
    """Returns FFmpeg's words for an error, on one line and without the path."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())
