"""The one way from a clip to frames: training, evaluation, `ask`, API and cache all come here."""

from __future__ import annotations

from pathlib import Path

from mtrans.core.errors import VideoError
from mtrans.core.settings import FrameSettings
from mtrans.video.container import Frames
from mtrans.video.decode import open_video
from mtrans.video.sampling import sample_times


def load_clip(
    path: str | Path,
    settings: FrameSettings,
    start: float | None = None,
    end: float | None = None,
) -> Frames:
    """Samples a clip's frames. The same arguments give the same pixels on every call.

    Args:
        path: A video file, or a folder of numbered pictures (`mtrans.video.frames_folder`).
        settings: How many frames, and which.
        start: Clip's start in seconds from the first frame; None is the beginning.
        end: Clip's end in seconds; None, and anything later, is the video's end.

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
        return video.read(times)
