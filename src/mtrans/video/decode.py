"""A video file -> the frames shown at given times.

    times[T] --sort--> runs: from here on, or from a keyframe --> uint8[T, H, W, 3]

The frame *shown at* ``t`` is the last one whose presentation time is at most ``t`` (plus half a
tick of the container's clock, for rounding). Times count in seconds from the stream's first frame,
whatever timestamp that one bears. Before the first stands the first, after the last the last.

Runs: a keyframe that lies well between one wanted time and the next is jumped to, where the
container lists its keyframes (`mtrans.video.keyframes`); within a run, frames that no wanted one
needs are not decoded (`mtrans.video.feed`). Should another frame come out than the file's packets
promise, all is read again without leaving anything out. Other containers are read forward from the
start up to the last wanted frame.

Damage: an error of the decoder before the last wanted frame is an error of the file; so is an end
of the frames more than `END_SLACK` seconds before a wanted time that the header claims to have (a
truncated file). A header that claims a frame or two too many is not. Non-square pixels are not
stretched.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtrans.core.errors import VideoError
from mtrans.video.container import Frames, VideoInfo
from mtrans.video.decoder import Decoder, Shown
from mtrans.video.frames_folder import FrameFolder
from mtrans.video.keyframes import Key, Keyframes, is_indexed
from mtrans.video.picture import Pictures
from mtrans.video.reader import Reader, checked_times
from mtrans.video.threads import threads_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

END_SLACK = 0.5
"""Seconds that frames may end before the duration that the header claims."""

WORTH_A_JUMP = 8
"""Frames that entering at a keyframe must save: less is decoded sooner than the jump is made."""


def open_video(path: str | Path) -> Reader:
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


class _OtherFrame(Exception):
    """Not the frame came out that the packets promise."""


class VideoReader(Reader):
    """An open video file. A few decoded frames are held beside those that were asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._open()
        self.info = self._decoder.info

    def close(self) -> None:
        """Releases the file; the reader is of no use afterwards."""
        if self._keys is not None:
            self._keys.close()
        self._decoder.close()

    def read(self, times: ArrayLike) -> Frames:
        """Reads the frames shown at the given times; see `read_frames`.

        Raises:
            VideoError: The file is damaged or truncated before a wanted time.
        """
        wanted = checked_times(self.path, times)
        if self._indexed:
            try:
                return self._read(wanted, planned=True)
            except (_OtherFrame, VideoError):
                self._reopen()  # damage, if it is that, is told as decoding everything tells it
        return self._read(wanted, planned=False)

    def _open(self) -> None:
        self._keys: Keyframes | None = None
        self._decoder = Decoder(self.path)
        self._indexed = is_indexed(self._decoder.container)
        self._stand_at(self._decoder.first)

    def _reopen(self) -> None:
        self.close()
        self._open()

    def _stand_at(self, shown: Shown) -> None:
        """Takes a frame that has just come out of a decoder that leaves nothing out so far."""
        self._current = shown
        self._ahead: Shown | None = None
        self._ended = False
        self._planned = False

    def _read(self, wanted: NDArray[np.float64], *, planned: bool) -> Frames:
        shown = np.empty(len(wanted))
        limits = np.maximum(wanted + self._decoder.tolerance, 0.0)
        height, width = self.info.height, self.info.width
        beside = threads_for(width, height) > 1
        with closing(Pictures(len(wanted), height, width, beside=beside)) as pictures:
            for run in self._runs(limits):
                self._begin([float(limits[place]) for place in run], planned)
                for place in run:
                    self._go_to(float(limits[place]))
                    shown[place] = self._current.time
                    pictures.put(place, self._current.frame)
            return Frames(pictures.finish(), shown)

    def _runs(self, limits: NDArray[np.float64]) -> list[list[int]]:
        """Groups places, in the order of time, by where decoding enters the file."""
        order = [int(place) for place in np.argsort(limits, kind="stable")]
        runs = [[order[0]]]
        for before, place in pairwise(order):
            if self._key(limits[place], after=limits[before]) is not None:
                runs.append([])
            runs[-1].append(place)
        return runs

    def _key(self, limit: float, after: float) -> Key | None:
        """Returns the last keyframe at or before a time, if a jump to it from `after` is worth it.

        Args:
            limit: The wanted time.
            after: Where decoding stands, or minus infinity if it can't go on.
        """
        save = WORTH_A_JUMP / (self.info.fps or 25.0)
        if not self._indexed or limit - after <= save:
            return None
        if self._keys is None:
            decoder = self._decoder
            self._keys = Keyframes(self.path, decoder.container, decoder.stream, decoder.zero)
        key = self._keys.before(limit)
        return key if key is not None and key.time > after + save else None

    def _begin(self, limits: Sequence[float], planned: bool) -> None:
        """Makes the decoder ready for ascending times: from where it stands, or elsewhere."""
        goes_on = not self._planned and self._current.time <= limits[0]
        position = self._current.time if goes_on else float("-inf")
        key = self._key(limits[0], after=position)
        moved = key is not None
        while key is not None:
            if self._enter(key, limits, planned):
                return
            # an earlier keyframe may lead there; if none does, decoding forward tells
            key = self._key(key.time - self._decoder.tick, after=position)
        if moved or not goes_on:
            self._reopen()
        self._plan(limits, planned)

    def _enter(self, key: Key, limits: Sequence[float], planned: bool) -> bool:
        """Jumps to a keyframe; returns whether its frame is no later than the first time."""
        try:
            self._decoder.seek(key.timestamp)
            self._plan(limits, planned)
            landed = self._decoder.pull()
        except VideoError:
            return False
        if landed is None or landed.time > limits[0]:
            return False
        self._stand_at(landed)
        self._planned = planned
        return True

    def _plan(self, limits: Sequence[float], planned: bool) -> None:
        self._planned = planned
        if planned:
            self._decoder.plan(limits)

    def _go_to(self, limit: float) -> None:
        """Makes `_current` the frame shown at a time, which includes the tolerance."""
        decoder = self._decoder
        while True:
            if self._ahead is None and not self._ended:
                self._ahead = decoder.pull(lenient=True)
                self._ended = self._ahead is None
            if self._ahead is None or self._ahead.time > limit:
                break
            self._current, self._ahead = self._ahead, None
        if self._ended and (decoder.trouble is not None or not decoder.feed.emptied):
            self._check_end(limit)
        if self._planned and decoder.expected(limit) != self._current.frame.pts:
            raise _OtherFrame

    def _check_end(self, limit: float) -> None:
        """Called with no frame after `_current`: is that the end, or is something missing?"""
        if limit < self._current.end:
            return
        if self._decoder.trouble is not None:
            raise self._decoder.trouble
        claimed = self.info.duration
        if min(limit, claimed) > self._current.end + END_SLACK:
            raise VideoError(
                f"{self.path}: frames end at {self._current.end:.2f} s, but the header claims"
                f" {claimed:.2f} s and {limit:.2f} s was wanted; the file is truncated, get it"
                " again or set the clip's end"
            )
