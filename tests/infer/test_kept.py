"""Follow-up questions: the ViT runs once a clip, and nothing stale is answered from."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from mtrans.core.errors import VideoError
from mtrans.core.records import Sample
from mtrans.infer.kept import KeptFeatures
from mtrans.infer.predictor import load_predictor
from mtrans.train.sources import video_source


@pytest.fixture(scope="module")
def predictor(run):
    return load_predictor(run.path, device="cpu")


@pytest.fixture
def passes(predictor, monkeypatch):
    """Frames that the ViT has seen, call by call."""
    seen: list[int] = []
    model = predictor.backbone.base
    encode = type(model).encode_frames

    def counted(self, pixel_values, **how):
        seen.append(pixel_values.shape[0] * pixel_values.shape[1])
        return encode(self, pixel_values, **how)

    monkeypatch.setattr(type(model), "encode_frames", counted)
    predictor.kept.clear()
    return seen


def _same(a, b):
    assert a.text == b.text
    assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)


def test_a_follow_up_question_runs_no_vit_and_answers_the_same(predictor, samples, passes):
    first, second = samples[0], samples[1]
    assert first.video == second.video
    predictor.ask(first.video, first.question, first.choices)
    assert passes == [3]
    followed = predictor.ask(first.video, "what is it ?", ("a square", "left"))
    assert passes == [3]
    predictor.kept.clear()
    _same(predictor.ask(first.video, "what is it ?", ("a square", "left")), followed)
    assert passes == [3, 3]


def test_kept_features_answer_as_pixels_do(predictor, samples):
    source = video_source(predictor.backbone, predictor.settings)
    (from_pixels,) = predictor._answer(predictor._items(samples[:1], source))
    (kept,) = predictor.predict(samples[:1], use_cache=False)
    assert kept.log_likelihoods == pytest.approx(from_pixels.log_likelihoods, abs=1e-4)
    assert kept.ms > 0


def test_many_questions_run_the_vit_once_a_clip(predictor, samples, passes):
    clips = {sample.video for sample in samples}
    made = list(predictor.predict(samples, use_cache=False, batch_size=4))
    assert len(made) == len(samples) == 2 * len(clips)
    assert len(passes) == len(clips)


def test_the_time_of_the_vit_is_the_models_and_not_the_readers(predictor, samples, monkeypatch):
    kept = predictor.kept
    encode = kept.encode

    def slow(pixels):
        kept.seconds += 1.0  # as if it had taken a second
        return encode(pixels)

    monkeypatch.setattr(kept, "encode", slow)
    kept.clear()
    asked = predictor.ask(samples[0].video, samples[0].question, samples[0].choices)
    assert asked.ms > 1000 > asked.read_ms
    assert predictor.ask(samples[0].video, samples[0].question, samples[0].choices).ms < 1000


def test_a_file_that_changed_is_read_again(predictor, samples, tmp_path, passes):
    video = tmp_path / "clip.mp4"
    shutil.copy(samples[0].video, video)
    predictor.ask(video, samples[0].question, samples[0].choices)
    other = next(s for s in samples if s.video != samples[0].video)
    shutil.copy(other.video, video)
    changed = predictor.ask(video, samples[0].question, samples[0].choices)
    assert passes == [3, 3]
    _same(predictor.ask(other.video, samples[0].question, samples[0].choices), changed)
    video.unlink()
    with pytest.raises(VideoError):
        predictor.ask(video, samples[0].question, samples[0].choices)


class _Pixels:
    def get(self, sample):
        return np.full((2, 3, 4, 4), float(sample.id), np.float32), np.arange(2.0)

    def blank(self, count):
        raise AssertionError("features are asked for, not pixels")


def test_the_oldest_go_first_and_one_always_stays():
    seen: list[float] = []

    def encode(pixels):
        seen.append(float(pixels.flat[0]))
        return np.zeros((2, 5, 8), np.float32)

    one = 2 * 5 * 8 * 4
    kept = KeptFeatures(_Pixels(), encode, (5, 8), limit=2 * one)
    for clip in (1, 2, 1, 3, 1, 2):
        kept.get(Sample(id=str(clip), video=f"/nowhere/{clip}.mp4", question="?"))
    assert seen == [1, 2, 3, 2]  # clip 2 had to go for 3, clip 1 was in use
    assert kept.blank(3).shape == (3, 5, 8)
    small = KeptFeatures(_Pixels(), encode, (5, 8), limit=1)
    small.get(Sample(id="7", video="/nowhere/7.mp4", question="?"))
    small.get(Sample(id="7", video="/nowhere/7.mp4", question="?"))
    assert seen[4:] == [7]
