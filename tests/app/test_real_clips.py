"""`ask` on real files: the embedded model understands none of them, but the path must be right."""

from __future__ import annotations

import pytest

from mtrans.core.errors import VideoError
from mtrans.infer.predictor import load_predictor

GOOD = ("one_frame.mp4", "two_frames_ten_seconds_apart.mp4", "variable_frame_rate.mp4")
BAD = ("zero_bytes.mp4", "text_not_video.mp4", "truncated.mp4", "audio_only.mp4")


@pytest.fixture(scope="module")
def predictor():
    return load_predictor("tiny")


def test_ask_answers_on_all_real_clips(predictor, shared_data):
    clips = [p for p in sorted((shared_data / "videos").iterdir()) if p.suffix != ".wav"]
    assert len(clips) >= 10
    for clip in clips:
        answer = predictor.ask(clip, "how many objects are there?", choices=["one", "two"])
        assert answer.text in ("one", "two")
        assert sum(answer.probabilities) == pytest.approx(1)
        assert len(answer.times) == 4


@pytest.mark.parametrize("name", GOOD)
def test_odd_but_valid_files_are_answered(predictor, shared_data, name):
    answer = predictor.ask(shared_data / "broken" / name, "describe the picture.")
    assert answer.choice is None
    assert len(answer.times) == 4


@pytest.mark.parametrize("name", BAD)
def test_broken_files_give_one_line(predictor, shared_data, name):
    with pytest.raises(VideoError) as caught:
        predictor.ask(shared_data / "broken" / name, "describe the picture.")
    assert name in str(caught.value)
    assert "sample" not in str(caught.value)
    assert "\n" not in str(caught.value)
