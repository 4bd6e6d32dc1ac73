"""Small real videos for the tests of this folder."""

from __future__ import annotations

import numpy as np
import pytest

from mtrans.video.write import write_video


def draw(frames: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (frames, 3), dtype=np.uint8)
    return [np.broadcast_to(c, (32, 32, 3)).copy() for c in colours]


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Six clips of 2 s at 4 frames a second."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(6):
        write_video(folder / f"{number}.mp4", draw(8, number), 4)
    return folder
