"""What a file and a folder of pictures have in common: open, look, read, close."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from mtrans.core.errors import VideoError
from mtrans.video.container import Frames, VideoInfo

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray


class Reader(ABC):
    """An open video, closed at the end of a ``with``."""

    path: Path
    """What is read."""

    info: VideoInfo
    """What it says of itself."""

    @abstractmethod
    def read(self, times: ArrayLike) -> Frames:
        """Reads the frames shown at the given times.

        Args:
            times: float ``[T]`` seconds from the first frame, in any order; repeats are allowed.

        Returns:
            T frames in the order of `times`.

        Raises:
            VideoError: `times` are not finite, or the frames can't be had.
        """

    @abstractmethod
    def close(self) -> None:
        """Releases the file; the reader is of no use afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def checked_times(path: Path, times: ArrayLike) -> NDArray[np.float64]:
    """Returns times as float64 ``[T]``.

    Raises:
        VideoError: They are none, or not finite numbers in one row.
    """
    wanted = np.asarray(times, dtype=np.float64)
    if wanted.ndim != 1 or not len(wanted) or not np.isfinite(wanted).all():
        raise VideoError(f"{path}: times{list(wanted.shape)}; wanted finite float[T], T > 0")
    return wanted
