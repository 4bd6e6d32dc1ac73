"""Where a file can be entered: keyframes as the container's index lists them.

mp4/mov and Matroska/WebM store presentation times and list their keyframes. Other containers (AVI,
MPEG, streams) have guessed times or no list. mp4's index holds decoding times, early by about the
same delay throughout, while seeking goes by presentation time (as mov.c shifts it); whoever seeks
checks where it lands.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import av

from mtrans.video.container import open_container

# containers whose presentation times are stored, and whose index lists every keyframe
_INDEXED = {"mov", "mp4", "matroska", "webm"}


class Key(NamedTuple):
    """A keyframe."""

    time: float
    """When it is shown, in seconds from the first frame; it may be a frame or two later."""

    timestamp: int
    """What to seek to."""


def is_indexed(container: Any) -> bool:
    """Returns whether keyframes are listed with true times, so that seeking is safe."""
    return bool(_INDEXED & set(container.format.name.split(",")))


class Keyframes:
    """A stream's keyframes, looked up one at a time: a long file's index has many entries.

    Args:
        path: The file.
        container: The open file.
        stream: Its video stream.
        zero: Timestamp of the first frame.
    """

    def __init__(self, path: Path, container: Any, stream: Any, zero: int) -> None:
        self._tick = float(stream.time_base)
        self._other = None
        self._entries: Any = ()
        if is_indexed(container):
            self._entries = stream.index_entries
        if "matroska" in container.format.name:
            # this index is read at the first seek; on a second handle that disturbs nobody
            self._other = open_container(path)
            twin = self._other.streams[stream.index]
            try:
                self._other.seek(stream.start_time or 0, stream=twin)
                self._entries = twin.index_entries
            except av.error.FFmpegError:
                self._entries = ()
        self._first = self._earliest()
        self._late = zero - self._first if self._first is not None else 0

    def close(self) -> None:
        """Releases what was opened for the index; nothing can be looked up afterwards."""
        self._first, self._entries = None, ()
        if self._other is not None:
            self._other.close()

    def before(self, time: float) -> Key | None:
        """Returns the last keyframe at or before a time; None where none is listed."""
        if self._first is None:
            return None
        stamp = math.floor(time / self._tick + 1e-6) + self._first
        place = self._entries.search_timestamp(stamp, backward=True, any_frame=False)
        while place >= 0:
            entry = self._entries[place]
            if entry.is_keyframe and not entry.is_discard:
                found = int(entry.timestamp)
                return Key((found - self._first) * self._tick, found + self._late)
            place -= 1
        return None

    def _earliest(self) -> int | None:
        for place in range(len(self._entries)):
            entry = self._entries[place]
            if entry.is_keyframe and not entry.is_discard:
                return int(entry.timestamp)
        return None
