"""A video file -> the frames shown at given times.

    times[T] --sort--> decode forward, or seek to the keyframe before a time --> uint8[T, H, W, 3]

The frame *shown at* ``t`` is the last one whose presentation time is at most ``t`` (plus half a
tick of the container's clock, for rounding). Times count in seconds from the stream's first frame,
whatever timestamp that one bears. Before the first stands the first, after the last the last.

Forward or seek: mp4/mov and Matroska/WebM store presentation times and list their keyframes. A
keyframe that lies between the decoder's position and the wanted time is jumped to, since decoding
on would pass through it anyway; all else is decoded forward. Other containers (AVI, MPEG, streams)
have guessed times or no list, and are read forward from the start up to the last wanted frame.

Damage: an error of the decoder before the last wanted frame is an error of the file; so is an end
of the frames more than `END_SLACK` seconds before a wanted time that the header claims to have (a
truncated file). A header that claims a frame or two too many is not. Of several video streams the
one that FFmpeg deems best (default, then largest) is read. Non-square pixels are not stretched.
"""

from __future__ import annotations

import bisect
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Interpolation, VideoReformatter

from mtrans.core.errors import VideoError
from mtrans.video.container import (
    Frames,
    VideoInfo,
    claimed_duration,
    keyframes,
    lacks_pts,
    open_container,
    reason,
)
from mtrans.video.frames_folder import FrameFolder
from mtrans.video.orientation import clockwise, orient, orientation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

END_SLACK = 0.5
"""Seconds that frames may end before the duration that the header claims."""

MAX_TOLERANCE = 0.0005
"""Half a tick of Matroska's clock; an AVI's tick is a whole frame, half of which is too much."""

# one thread and exact rounding: the same pixels whatever the machine's cores and vector units
_FLAGS = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_THREADS_FROM = 640 * 360  # pixels from which a second decoding thread pays


class _Shown(NamedTuple):
    frame: Any
    time: float
    end: float


class _Key(NamedTuple):
    time: float
    timestamp: int


def open_video(path: str | Path) -> VideoReader | FrameFolder:
    """Opens a video file, or a folder of numbered pictures.

    Raises:
        VideoError: Missing, or neither.
    """
    return FrameFolder(path) if Path(path).is_dir() else VideoReader(path)


def probe(path: str | Path) -> VideoInfo:
    """Opens a file and decodes its first frame, or looks into a folder of numbered pictures.

    Raises:
        VideoError: Missing, not a video, without a video stream, or damaged at its start.
    """
    with open_video(path) as video:
        return video.info


def read_frames(path: str | Path, times: ArrayLike) -> Frames:
    """Reads the frames shown at the given times.

    Args:
        path: A video file, or a folder of numbered pictures.
        times: float ``[T]`` seconds from the first frame, in any order; repeats are allowed.

    Returns:
        T frames in the order of `times`.

    Raises:
        VideoError: As `probe`, or the frames can't be had because the file is damaged or truncated.
    """
    with open_video(path) as video:
        return video.read(times)


class VideoReader:
    """An open video file. At most two decoded frames are held beside those that were asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._convert = VideoReformatter()
        self._open()
        try:
            self.info = self._describe()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Releases the file; the reader is of no use afterwards."""
        if self._packets is not None:
            self._packets.close()
        self._container.close()

    def read(self, times: ArrayLike) -> Frames:
        """Reads the frames shown at the given times; see `read_frames`.

        Raises:
            VideoError: The file is damaged or truncated before a wanted time.
        """
        wanted = np.asarray(times, dtype=np.float64)
        if wanted.ndim != 1 or not len(wanted) or not np.isfinite(wanted).all():
            raise VideoError(
                f"{self.path}: times{list(wanted.shape)}; wanted finite float[T], T > 0"
            )
        pixels: NDArray[np.uint8] | None = None
        shown = np.empty(len(wanted))
        image: NDArray[np.uint8] | None = None
        for place in np.argsort(wanted, kind="stable"):
            before = self._current
            self._go_to(float(wanted[place]))
            shown[place] = self._current.time
            if self._current is not before or image is None:
                image = self._rgb(self._current.frame)
            if pixels is None:
                pixels = np.empty((len(wanted), *image.shape), np.uint8)
            pixels[place] = image
        assert pixels is not None  # at least one time was wanted
        return Frames(pixels, shown)

    def _open(self) -> None:
        """Opens the file and decodes up to the first frame and the one after it."""
        self._container = open_container(self.path)
        self._packets: Generator[Any, None, None] | None = None
        self._trouble: VideoError | None = None
        try:
            self._stream = self._container.streams.best("video")
            if self._stream is None or self._stream.disposition & Disposition.attached_pic:
                raise VideoError(
                    f"{self.path}: there is no video stream; give a file with pictures"
                )
            self._set_up_stream()
            self._start_decoding()
            first = self._pull()
            if first is None:
                raise VideoError(
                    f"{self.path}: no frame of its video stream can be decoded; the file is damaged"
                    " or truncated, get or export it again"
                )
            self._current, self._ahead = first, None
            self._ahead = self._pull(lenient=True)
        except BaseException:
            self._container.close()
            raise

    def _set_up_stream(self) -> None:
        stream = self._stream
        if stream.codec_context is None:
            raise VideoError(
                f"{self.path}: this build of FFmpeg has no decoder for its video stream;"
                " convert the file to H.264"
            )
        self._tick = float(stream.time_base)
        self._tolerance = min(self._tick / 2, MAX_TOLERANCE) + 1e-9
        self._by_dts = lacks_pts(self._container)
        rate = stream.average_rate or stream.guessed_rate
        self._fps = float(rate) if rate else None
        large = stream.codec_context.width * stream.codec_context.height >= _THREADS_FROM
        stream.thread_type = "FRAME" if large else "SLICE"
        stream.codec_context.thread_count = 2 if large else 1
        self._zero: int | None = None
        self._size: tuple[int, int] | None = None
        self._keys: list[_Key] | None = None

    def _start_decoding(self) -> None:
        self._packets = self._container.decode(self._stream)
        self._trouble = None
        self._before: _Shown | None = None

    def _go_to(self, time: float) -> None:
        """Makes `_current` the frame shown at `time`."""
        limit = time + self._tolerance
        if self._current.time > max(limit, 0.0):  # behind us: start again
            self.close()
            self._open()
        self._jump(limit)
        while self._ahead is not None and self._ahead.time <= limit:
            self._current = self._ahead
            self._ahead = self._pull(lenient=True)
        if self._ahead is None:
            self._check_end(time)

    def _jump(self, limit: float) -> None:
        """Seeks if a keyframe lies between the next frame and `limit`."""
        if self._ahead is None or self._ahead.time > limit:
            return
        keys = self._key_list()
        position = self._ahead.time
        moved = False
        for key in reversed(keys[: bisect.bisect_right(keys, limit, key=lambda k: k.time)]):
            if key.time <= position:
                break
            moved = True
            try:
                self._container.seek(key.timestamp, stream=self._stream)
                self._start_decoding()
                landed = self._pull()
            except (VideoError, av.error.FFmpegError):
                continue  # an earlier keyframe may lead there; if none does, decoding forward tells
            if landed is not None and landed.time <= limit:
                self._current = landed
                self._ahead = self._pull(lenient=True)
                return
        if moved:
            self.close()
            self._open()

    def _key_list(self) -> list[_Key]:
        """Returns when keyframes are shown, and the timestamp that seeks there.

        The index may hold decoding times, early by about the same delay throughout, while seeking
        goes by presentation time (as mov.c shifts it); `_jump` checks where it lands.
        """
        if self._keys is None:
            stamps = keyframes(self.path, self._container, self._stream)
            late = (self._zero or 0) - stamps[0] if stamps else 0
            self._keys = [_Key((s - stamps[0]) * self._tick, s + late) for s in stamps]
        return self._keys

    def _check_end(self, time: float) -> None:
        """Called with no frame after `_current`: is that the end, or is something missing?"""
        if time + self._tolerance < self._current.end:
            return
        if self._trouble is not None:
            raise self._trouble
        claimed = self.info.duration
        if min(time, claimed) > self._current.end + END_SLACK:
            raise VideoError(
                f"{self.path}: frames end at {self._current.end:.2f} s, but the header claims"
                f" {claimed:.2f} s and {time:.2f} s was wanted; the file is truncated, get it again"
                " or set the clip's end"
            )

    def _pull(self, *, lenient: bool = False) -> _Shown | None:
        """Decodes the next sound frame; None at the end.

        Args:
            lenient: Keep an error for `_check_end` instead of raising it: the frames so far are
                good, and nobody may ask for later ones.
        """
        try:
            for frame in self._packets or ():
                if frame.is_corrupt and self._before is None and self._zero is not None:
                    continue  # after a seek to a keyframe that needs earlier frames (open GOP)
                if frame.is_corrupt:
                    raise self._damage("the decoder marks a frame as corrupt")
                self._before = self._timed(frame)
                return self._before
        except av.error.FFmpegError as error:
            trouble = self._damage(reason(error))
            if not lenient:
                raise trouble from error
            self._trouble = trouble
        except VideoError as error:
            if not lenient:
                raise
            self._trouble = error
        return None

    def _timed(self, frame: Any) -> _Shown:
        """Gives a frame its time, mending timestamps that are missing or run backwards."""
        stamp = frame.dts if self._by_dts else frame.pts
        length = (frame.duration or 0) * self._tick or (1 / self._fps if self._fps else 0.0)
        if self._zero is None:
            self._zero = stamp if stamp is not None else 0
            self._size = (frame.height, frame.width)
        if (frame.height, frame.width) != self._size:
            height, width = self._size or (0, 0)
            raise self._damage(
                f"the frame size changes from {width}x{height} to {frame.width}x{frame.height}"
            )
        before = self._before
        time = (stamp - self._zero) * self._tick if stamp is not None else None
        if before is not None and (time is None or time <= before.time):
            time = before.time + (length or self._tick)
        if before is not None and time is not None and time > self._last_possible(before):
            raise self._damage(f"a timestamp leaps to {time:.2f} s")
        time = max(time or 0.0, 0.0)
        return _Shown(frame, time, time + length)

    def _last_possible(self, before: _Shown) -> float:
        """The latest plausible time of a frame; a damaged timestamp would hide all that follow."""
        info = getattr(self, "info", None)
        return max(before.end, info.duration) + 60.0 if info else float("inf")

    def _damage(self, what: str) -> VideoError:
        where = f" after {self._before.time:.2f} s" if self._before else " at its start"
        return VideoError(
            f"{self.path}: damaged{where} ({what}); get it again, re-encode it, or cut"
            " it before that"
        )

    def _rgb(self, frame: Any) -> NDArray[np.uint8]:
        image = self._convert.reformat(frame, format="rgb24", interpolation=_FLAGS, threads=1)
        pixels: NDArray[Any] = image.to_ndarray()
        return orient(pixels, orientation(frame))

    def _describe(self) -> VideoInfo:
        stream, frame = self._stream, self._current.frame
        turn = orientation(frame)
        height, width = (
            (frame.width, frame.height) if turn.transpose else (frame.height, frame.width)
        )
        return VideoInfo(
            path=self.path,
            width=width,
            height=height,
            fps=self._fps,
            duration=claimed_duration(self.path, self._container, stream, self._zero or 0),
            frames=stream.frames or None,
            codec=stream.codec_context.name,
            pixel_format=stream.codec_context.pix_fmt or "",
            has_audio=bool(self._container.streams.audio),
            rotation=clockwise(turn),
        )
