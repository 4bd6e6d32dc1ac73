"""A decoded frame -> upright RGB, the same on every machine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from av.video.reformatter import Interpolation, VideoReformatter

from mtrans.video.orientation import orient, orientation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# one thread and exact rounding: the same pixels whatever the machine's cores and vector units. The
# faster conversion takes the nearest of the halved colours in place of interpolating them
FLAGS = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

_own = threading.local()


def to_rgb(frame: Any) -> NDArray[np.uint8]:
    """Converts a frame.

    Args:
        frame: PyAV's.

    Returns:
        uint8 ``[H, W, 3]``, turned as it is to be shown.
    """
    # its tables are kept for the next frame, and for the next file of the same size
    if not hasattr(_own, "convert"):
        _own.convert = VideoReformatter()
    image = _own.convert.reformat(frame, format="rgb24", interpolation=FLAGS, threads=1)
    pixels: NDArray[Any] = image.to_ndarray()
    return orient(pixels, orientation(frame))
