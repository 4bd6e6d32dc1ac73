"""load_clip is the one path: sampled times in, the frames shown then out, always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtrans.core.errors import VideoError
from mtrans.core.settings import FrameSettings
from mtrans.video.clip import load_clip
from mtrans.video.decode import probe, read_frames
from mtrans.video.sampling import sample_times
from mtrans.video.write import write_video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """40 frames at 10 per second that grow brighter by 6."""
    path = tmp_path / "clip.mp4"
    write_video(path, (np.full((32, 32, 3), 6 * i, np.uint8) for i in range(40)), 10)
    return path


def levels(pixels: np.ndarray) -> list[int]:
    return [round(float(frame.mean()) / 6) for frame in pixels]


def test_uniform(clip: Path) -> None:
    got = load_clip(clip, FrameSettings(count=4))
    assert levels(got.pixels) == [5, 15, 25, 35]
    np.testing.assert_allclose(got.times, [0.5, 1.5, 2.5, 3.5], atol=1e-9)


def test_window(clip: Path) -> None:
    assert levels(load_clip(clip, FrameSettings(count=2), 1.0, 2.0).pixels) == [12, 17]
    assert levels(load_clip(clip, FrameSettings(count=1), start=3.0).pixels) == [35]
    assert levels(load_clip(clip, FrameSettings(count=2), end=1000.0).pixels) == [10, 30]


def test_fps(clip: Path) -> None:
    settings = FrameSettings(count=32, sampling="fps", fps=2)
    assert levels(load_clip(clip, settings).pixels) == [0, 5, 10, 15, 20, 25, 30, 35]


def test_more_frames_than_there_are(clip: Path) -> None:
    got = load_clip(clip, FrameSettings(count=6), 0.0, 0.2)
    assert levels(got.pixels) == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(got.times, [0, 0, 0, 0.1, 0.1, 0.1], atol=1e-9)


def test_it_is_sampling_then_reading(clip: Path) -> None:
    settings = FrameSettings(count=7)
    times = sample_times(settings, duration=probe(clip).duration, start=0.3, end=2.9)
    expected = read_frames(clip, times)
    got = load_clip(clip, settings, 0.3, 2.9)
    assert np.array_equal(got.pixels, expected.pixels)
    assert np.array_equal(got.times, expected.times)


@pytest.mark.parametrize("name", ["askany_jesse_dance.mp4", "tv_v_SoccerJuggling_g23_c01.avi"])
def test_deterministic(shared_data: Path, name: str) -> None:
    first = load_clip(shared_data / "videos" / name, FrameSettings(count=4))
    for _ in range(2):
        again = load_clip(shared_data / "videos" / name, FrameSettings(count=4))
        assert np.array_equal(first.pixels, again.pixels)
        assert np.array_equal(first.times, again.times)


def test_errors_name_the_file(clip: Path) -> None:
    with pytest.raises(VideoError, match=r"clip\.mp4: clip starts at 9 s, but the video lasts 4 s"):
        load_clip(clip, FrameSettings(), start=9.0)
    with pytest.raises(VideoError, match=r"clip\.mp4: clip from start=2\.0 to end=1\.0"):
        load_clip(clip, FrameSettings(), 2.0, 1.0)


def test_every_real_clip_loads(shared_data: Path) -> None:
    paths = [p for p in sorted((shared_data / "videos").iterdir()) if p.suffix != ".wav"]
    assert len(paths) >= 10
    for path in paths:
        got = load_clip(path, FrameSettings(count=4))
        info = probe(path)
        assert got.pixels.shape == (4, info.height, info.width, 3)
        assert (np.diff(got.times) > 0).all()
