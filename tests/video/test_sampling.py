"""Sampled times: pure arithmetic, so properties hold for every window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtrans.core.errors import VideoError
from mtrans.core.settings import FrameSettings
from mtrans.video.sampling import sample_times

seconds = st.floats(0.01, 10_000)
counts = st.integers(1, 128)


@given(counts, seconds)
def test_uniform_takes_centres_of_equal_parts(count: int, duration: float) -> None:
    times = sample_times(FrameSettings(count=count), duration=duration)
    assert times.dtype == np.float64
    assert times.shape == (count,)
    edges = np.linspace(0, duration, count + 1)
    np.testing.assert_allclose(times, (edges[:-1] + edges[1:]) / 2, rtol=1e-9)
    np.testing.assert_allclose(times, duration - times[::-1], rtol=1e-7, atol=1e-7)  # symmetric


@given(counts, seconds, st.floats(0, 1), st.floats(0.001, 1))
def test_a_window_is_a_shifted_clip(count: int, duration: float, low: float, share: float) -> None:
    start = low * duration * 0.9
    end = start + share * (duration - start)
    times = sample_times(FrameSettings(count=count), duration=duration, start=start, end=end)
    assert start < times[0]
    assert times[-1] < end
    alone = sample_times(FrameSettings(count=count), duration=end - start)
    np.testing.assert_allclose(times - start, alone, rtol=1e-6, atol=1e-9)


@given(counts, seconds, st.floats(0.1, 60), st.floats(0, 0.9))
def test_fps_keeps_to_its_grid(count: int, duration: float, fps: float, low: float) -> None:
    start = low * duration
    settings = FrameSettings(count=count, sampling="fps", fps=fps)
    times = sample_times(settings, duration=duration, start=start)
    assert 1 <= len(times) <= count
    assert (times >= start).all()
    assert (times < duration).all()
    assert (np.diff(times) > 0).all()
    steps = (times - start) * fps
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6 * max(1.0, steps.max()))
    available = (duration - start) * fps
    if available <= count:
        assert len(times) == max(1, int(np.ceil(available - 1e-6)))
        assert times[0] == start


def test_known_values() -> None:
    assert sample_times(FrameSettings(count=4), duration=8).tolist() == [1, 3, 5, 7]
    assert sample_times(FrameSettings(count=1), duration=8).tolist() == [4]
    assert sample_times(FrameSettings(count=2), duration=8, start=4, end=6).tolist() == [4.5, 5.5]
    assert sample_times(FrameSettings(count=2), duration=8, end=99).tolist() == [2, 6]
    two = FrameSettings(count=16, sampling="fps", fps=2)
    assert sample_times(two, duration=2).tolist() == [0, 0.5, 1, 1.5]
    assert sample_times(two, duration=0.1).tolist() == [0]
    thin = FrameSettings(count=2, sampling="fps", fps=2)
    assert sample_times(thin, duration=2).tolist() == [0.5, 1.5]
    one = FrameSettings(count=1, sampling="fps", fps=1)
    assert sample_times(one, duration=5).tolist() == [2]


def test_a_single_frame_lasts_no_time() -> None:
    assert sample_times(FrameSettings(count=3), duration=0).tolist() == [0, 0, 0]
    fps = FrameSettings(count=3, sampling="fps", fps=5)
    assert sample_times(fps, duration=0).tolist() == [0]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"start": -1.0}, "start=-1.0"),
        ({"start": 3.0, "end": 3.0}, "0 <= start < end"),
        ({"start": 3.0, "end": 2.0}, "0 <= start < end"),
        ({"end": 0.0}, "0 <= start < end"),
        ({"start": float("nan")}, "start=nan"),
        ({"start": 10.0}, "starts at 10 s, but the video lasts 10 s"),
        ({"start": 12.0, "end": 14.0}, "lasts 10 s"),
    ],
)
def test_windows_that_hold_nothing(window: dict, words: str) -> None:
    with pytest.raises(VideoError, match=words):
        sample_times(FrameSettings(), duration=10.0, **window)


@pytest.mark.parametrize("duration", [-1.0, float("nan"), float("inf")])
def test_impossible_duration(duration: float) -> None:
    with pytest.raises(VideoError, match="duration"):
        sample_times(FrameSettings(), duration=duration)
