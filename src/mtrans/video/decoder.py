"""A file's video stream, opened and decoded frame after frame, each with its time.

Times count in seconds from the stream's first frame, whatever timestamp that one bears. Timestamps
that are missing or run backwards are mended; one that leaps, a frame marked as corrupt and a change
of size are damage. Of several video streams the one that FFmpeg deems best (default, then largest)
is read; the others, and sound, are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.stream import Discard, Disposition

from mtrans.core.errors import VideoError
from mtrans.video.container import VideoInfo, claimed_duration, lacks_pts, open_container, reason
from mtrans.video.feed import Feed
from mtrans.video.orientation import clockwise, orientation
from mtrans.video.threads import threads_for

MAX_TOLERANCE = 0.0005
"""Half a tick of Matroska's clock; an AVI's tick is a whole frame, half of which is too much."""


class Shown(NamedTuple):
    """A frame, and when it is shown."""

    frame: Any
    """PyAV's."""

    time: float
    """Seconds from the stream's first frame."""

    end: float
    """Seconds when the next frame is due."""


class Decoder:
    """An open stream, of which the first frame has been decoded.

    Args:
        path: The file.

    Raises:
        VideoError: Missing, not a video, without a video stream, or damaged at its start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container = open_container(path)
        self.trouble: VideoError | None = None
        """Damage that ended the frames before the file's end."""
        self._before: Shown | None = None
        self._zero: int | None = None
        self._size: tuple[int, int] | None = None
        self._claimed = float("inf")
        try:
            self.stream = self._video_stream()
            self._set_up()
            self._start()
            first = self.pull()
            if first is None:
                raise VideoError(
                    f"{path}: no frame of its video stream can be decoded; the file is damaged"
                    " or truncated, get or export it again"
                )
            self.first = first
            self.info = self._describe(first.frame)
        except BaseException:
            self.container.close()
            raise
        self._claimed = self.info.duration

    @property
    def zero(self) -> int:
        """Timestamp of the first frame, in the stream's ticks."""
        return self._zero or 0

    def close(self) -> None:
        """Releases the file."""
        self._frames.close()
        self.container.close()

    def stamp(self, limit: float) -> int:
        """Returns the last timestamp that is shown at or before a time."""
        return self.zero + math.floor(limit / self.tick)

    def plan(self, limits: Sequence[float]) -> None:
        """Says at which ascending times frames are wanted; see `Feed.plan`."""
        self.feed.plan([self.stamp(limit) for limit in limits])

    def expected(self, limit: float) -> int | None:
        """Returns the timestamp of the frame shown at a time, of the packets read so far."""
        return self.feed.expected(self.stamp(limit))

    def seek(self, timestamp: int) -> None:
        """Goes to the keyframe at or before a timestamp.

        Raises:
            VideoError: The container can't.
        """
        try:
            self.container.seek(timestamp, stream=self.stream)
        except av.error.FFmpegError as error:
            raise self._damage(reason(error)) from error
        self._start()

    def pull(self, *, lenient: bool = False) -> Shown | None:
        """Decodes the next sound frame; None at the end.

        Args:
            lenient: Keep an error as `trouble` instead of raising it: the frames so far are good,
                and nobody may ask for later ones.

        Raises:
            VideoError: Damage.
        """
        try:
            for frame in self._frames:
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
            self.trouble = trouble
        except VideoError as error:
            if not lenient:
                raise
            self.trouble = error
        return None

    def _video_stream(self) -> Any:
        stream = self.container.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic:
            raise VideoError(f"{self.path}: there is no video stream; give a file with pictures")
        if stream.codec_context is None:
            raise VideoError(
                f"{self.path}: this build of FFmpeg has no decoder for its video stream;"
                " convert the file to H.264"
            )
        for other in self.container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        return stream

    def _start(self) -> None:
        """Begins to decode where the container stands."""
        self.feed = Feed(self.container, self.stream)
        self._frames = self.feed.frames()
        self._before = None
        self.trouble = None

    def _set_up(self) -> None:
        stream = self.stream
        self.tick = float(stream.time_base)
        self.tolerance = min(self.tick / 2, MAX_TOLERANCE) + 1e-9
        self._by_dts = lacks_pts(self.container)
        rate = stream.average_rate or stream.guessed_rate
        self._fps = float(rate) if rate else None
        context = stream.codec_context
        context.thread_count = threads_for(context.width, context.height)
        stream.thread_type = "FRAME" if context.thread_count > 1 else "SLICE"

    def _timed(self, frame: Any) -> Shown:
        """Gives a frame its time, mending timestamps that are missing or run backwards."""
        stamp = frame.dts if self._by_dts else frame.pts
        length = (frame.duration or 0) * self.tick or (1 / self._fps if self._fps else 0.0)
        if self._zero is None:
            self._zero = stamp if stamp is not None else 0
            self._size = (frame.height, frame.width)
        if (frame.height, frame.width) != self._size:
            height, width = self._size or (0, 0)
            raise self._damage(
                f"the frame size changes from {width}x{height} to {frame.width}x{frame.height}"
            )
        before = self._before
        time = (stamp - self._zero) * self.tick if stamp is not None else None
        if before is not None and (time is None or time <= before.time):
            time = before.time + (length or self.tick)
        # a damaged timestamp would hide all frames that follow
        if before is not None and time is not None and time > max(before.end, self._claimed) + 60:
            raise self._damage(f"a timestamp leaps to {time:.2f} s")
        time = max(time or 0.0, 0.0)
        return Shown(frame, time, time + length)

    def _damage(self, what: str) -> VideoError:
        where = f" after {self._before.time:.2f} s" if self._before else " at its start"
        return VideoError(
            f"{self.path}: damaged{where} ({what}); get it again, re-encode it, or cut"
            " it before that"
        )

    def _describe(self, frame: Any) -> VideoInfo:
        stream = self.stream
        turn = orientation(frame)
        height, width = (
            (frame.width, frame.height) if turn.transpose else (frame.height, frame.width)
        )
        return VideoInfo(
            path=self.path,
            width=width,
            height=height,
            fps=self._fps,
            duration=claimed_duration(self.path, self.container, stream, self.zero),
            frames=stream.frames or None,
            codec=stream.codec_context.name,
            pixel_format=stream.codec_context.pix_fmt or "",
            has_audio=bool(self.container.streams.audio),
            rotation=clockwise(turn),
        )
