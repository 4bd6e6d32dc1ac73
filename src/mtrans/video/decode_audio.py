"""A file's sound -> mono samples at the rate asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from mtrans.core.errors import VideoError
from mtrans.video.container import open_container

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_audio(path: str | Path, sample_rate: int = 16000) -> NDArray[np.float32] | None:
    """Reads all sound of a file, mixed to one channel.

    Args:
        path: A media file.
        sample_rate: Samples a second wanted.

    Returns:
        float32 ``[S]`` in about [-1, 1] from the sound stream's first sample on, or None where the
        file has no sound.

    Raises:
        VideoError: The file is unreadable or its sound is damaged.
    """
    if sample_rate < 1:
        raise VideoError(f"{path}: sample_rate={sample_rate}; wanted samples a second, e.g. 16000")
    parts: list[NDArray[np.float32]] = []
    with open_container(path) as container:
        stream = container.streams.best("audio")
        if stream is None:
            return None
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=sample_rate)
        try:
            for frame in container.decode(stream):
                parts.extend(part.to_ndarray()[0] for part in resampler.resample(frame))
            parts.extend(part.to_ndarray()[0] for part in resampler.resample(None))
        except av.error.FFmpegError as error:
            seconds = sum(map(len, parts)) / sample_rate
            raise VideoError(
                f"{path}: sound is damaged after {seconds:.2f} s ({error}); get or re-encode it"
            ) from error
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
