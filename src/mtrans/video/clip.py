"""The one way from a clip to frames: training, evaluation, `ask`, API and cache all come here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mtrans.core.errors import VideoError
from mtrans.core.settings import FrameSettings
from mtrans.video.container import Frames
from mtrans.video.decode import open_video
from mtrans.video.sampling import sample_times

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Change(Protocol):
    """What a test of robustness does to a clip (`mtrans.video.perturb`); training never does."""

    def times(self, times: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
        """Returns which moments of the clip, from `low` to `high` seconds, are read instead."""

    def frames(self, frames: Frames) -> Frames:
        """Returns what is seen instead of the frames that were read."""


def load_clip(
    path: str | Path,
    settings: FrameSettings,
    start: float | None = None,
    end: float | None = None,
    change: Change | None = None,
) -> Frames:
    """Samples a clip's frames. The same arguments give the same pixels on every call.

    Args:
        path: A video file, or a folder of numbered pictures (`mtrans.video.frames_folder`).
        settings: How many frames, and which.
        start: Clip's start in seconds from the first frame; None is the beginning.
        end: Clip's end in seconds; None, and anything later, is the video's end.
        change: A perturbation of this clip; None leaves it as it is.

    Returns:
        Frames, and when each is really shown, in seconds from the video's first frame.

    Raises:
        VideoError: The file is unreadable, damaged or truncated, or the window is not in it.
    """
    with open_video(path) as video:
        try:
            times = sample_times(settings, duration=video.info.duration, start=start, end=end)
        except VideoError as error:
            raise VideoError(f"{path}: {error}") from error
        if change is None:
            return video.read(times)
        length = video.info.duration
        high = length if end is None else min(end, length)
        return change.frames(video.read(change.times(times, start or 0.0, high)))
