"""Which way up: the display matrix that phones store beside the frames.

The 3x3 matrix maps a stored pixel to a shown one, ``x' = a x + c y``, ``y' = b x + d y`` (FFmpeg's
libavutil/display.h; the rest shifts the picture back into view). Quarter turns and mirrorings are
applied exactly; any other angle is taken as the nearest of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from av.sidedata.sidedata import Type

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Orientation(NamedTuple):
    """What to do with stored pixels, in this order."""

    transpose: bool
    mirror_x: bool
    mirror_y: bool


def orientation(frame: Any) -> Orientation:
    """Returns how a decoded frame is to be shown."""
    side = frame.side_data.get(Type.DISPLAYMATRIX)
    if side is None:
        return Orientation(False, False, False)
    a, b, _, c, d = np.frombuffer(bytes(side), dtype=np.int32, count=5).astype(float)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, bool(c < 0), bool(b < 0))
    return Orientation(False, bool(a < 0), bool(d < 0))


def orient(pixels: NDArray[np.uint8], turn: Orientation) -> NDArray[np.uint8]:
    """Turns stored pixels ``[H, W, 3]`` into shown ones."""
    if turn.transpose:
        pixels = pixels.swapaxes(0, 1)
    return pixels[:: -1 if turn.mirror_y else 1, :: -1 if turn.mirror_x else 1]


def clockwise(turn: Orientation) -> int:
    """Returns the clockwise turn in degrees; a mirroring counts as the turn that goes with it."""
    if turn.transpose:
        return 90 if turn.mirror_x else 270
    return 180 if turn.mirror_x and turn.mirror_y else 0
