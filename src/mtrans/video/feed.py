"""Packets -> decoded frames, leaving out the work that no wanted frame needs.

A packet says when its frame is shown before anything is decoded. So, with a plan of what is wanted:

- a frame that no other frame refers to (H.264's nal_ref_idc is 0) and that is not wanted is not
  decoded: about half of what x264 writes by default;
- reading stops at the last packet that can matter, and the decoder is emptied.

A frame is only left out if a later one, no later than the wanted time, is known. What comes out for
a wanted time can be checked against `Feed.expected`: packets and frames are the same things in all
but odd files (fields stored apart, damage), and those are read without a plan.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

LOOK_AHEAD = 4
"""Packets read ahead of the decoder: the frame shown next is decoded within a few of them."""

_SKIPPING = {"h264"}
"""Decoders whose `skip_frame` leaves out what nothing refers to, and no more."""


class Feed:
    """Reads and decodes a stream from where its container stands.

    Args:
        container: PyAV's.
        stream: The video stream of it.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self.emptied = False
        """Reading has stopped before the end, since nothing that follows is wanted."""
        self._container = container
        self._stream = stream
        self._wanted: Sequence[int] | None = None
        self._seen: list[int] = []
        self._can_skip = stream.codec_context.name in _SKIPPING

    def plan(self, wanted: Sequence[int]) -> None:
        """Says what is wanted of the frames to come; once, and before it everything is.

        Args:
            wanted: Ascending timestamps: what is shown at each of them. Frames between may be
                missing, and none need come after.
        """
        self._wanted = wanted

    def frames(self) -> Generator[Any, None, None]:
        """Yields frames in the order shown.

        Raises:
            FFmpegError: Damage.
        """
        context = self._stream.codec_context
        context.skip_frame = "DEFAULT"
        ahead: deque[Any] = deque()
        for packet in self._container.demux(self._stream):
            if self._is_past(packet):
                self.emptied = True
                break
            if packet.pts is not None and not packet.is_discard:
                bisect.insort(self._seen, packet.pts)
            ahead.append(packet)
            if len(ahead) > LOOK_AHEAD:
                yield from self._decode(ahead.popleft())
        while self.emptied and ahead and self._is_late(ahead[-1]):
            ahead.pop()  # what would be shown later matters only to those that refer to it
        for packet in ahead:
            yield from self._decode(packet)
        if self.emptied:
            yield from context.decode(None)

    def expected(self, wanted: int) -> int | None:
        """Returns the timestamp of the frame shown at one, of the packets read so far."""
        place = bisect.bisect_right(self._seen, wanted)
        return self._seen[place - 1] if place else None

    def _decode(self, packet: Any) -> Any:
        if self._can_skip and self._wanted is not None:
            self._stream.codec_context.skip_frame = (
                "DEFAULT" if self._is_wanted(packet) else "NONREF"
            )
        return packet.decode()

    def _is_wanted(self, packet: Any) -> bool:
        """Returns whether its frame may be the one shown at a wanted time."""
        assert self._wanted is not None
        if packet.pts is None:
            return True
        first = bisect.bisect_left(self._wanted, packet.pts)
        if first == len(self._wanted):
            return False
        place = bisect.bisect_right(self._seen, packet.pts)
        return place == len(self._seen) or self._wanted[first] < self._seen[place]

    def _is_late(self, packet: Any) -> bool:
        return self._wanted is not None and packet.pts is not None and packet.pts > self._wanted[-1]

    def _is_past(self, packet: Any) -> bool:
        """Returns whether this packet and all that follow are shown after all that is wanted."""
        # decoding times ascend, and no frame is shown before it is decoded
        return self._wanted is not None and packet.dts is not None and packet.dts > self._wanted[-1]
