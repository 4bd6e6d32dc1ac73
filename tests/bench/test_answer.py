"""`bench answer`: both sides are asked the same, and what is kept is kept on ours only."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mtrans.bench.answer import AnswerSetup, Ours, Theirs, another
from mtrans.bench.answer_run import EACH, OURS, PEER, WHATS, Asked, findings
from mtrans.bench.clips import bench_clips
from mtrans.models.loading import TINY_FOLDER


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    samples = bench_clips(tmp_path_factory.mktemp("clips"), 2, seconds=0.2)
    return AnswerSetup(str(TINY_FOLDER), tuple(samples), 2, "cpu")


def _frames_seen(model) -> list[int]:
    """Frames of each pass of a model's ViT from now on."""
    seen: list[int] = []

    def count(module, args, kwargs):
        seen.append(len(kwargs["pixel_values"]))

    model.get_base_model().vision_model.register_forward_pre_hook(count, with_kwargs=True)
    return seen


def test_ours_sees_a_clip_once_and_the_peer_at_each_question(setup):
    ours, theirs = Ours(setup, 2), Theirs(setup, 2)
    seen = _frames_seen(ours.predictor.backbone.model)
    times = ours.write(setup.samples)
    assert seen == [2, 2]  # two clips of two frames, and no more for the follow-up
    assert 0 < times["follow-up, first"] <= times["follow-up, whole"]
    assert times["first"] <= times["whole"]
    ours.choose(setup.samples[:1])
    assert seen == [2, 2, 2]
    theirs_seen = _frames_seen(theirs.peer.model)
    assert theirs.write(setup.samples).keys() == times.keys()
    assert theirs_seen == [4, 4]
    theirs.choose(setup.samples[:1])
    assert theirs_seen == [4, 4, 2, 2]
    theirs.choose_each(setup.samples[:1])
    assert theirs_seen == [4, 4, 2, 2, 2, 2, 2, 2]  # once for each of four candidates


def test_the_peer_in_bf16_answers_too(setup):
    theirs = Theirs(setup, 2, torch.bfloat16)
    assert theirs.peer.model.get_base_model().language_model.dtype == torch.bfloat16
    made = theirs.write(setup.samples[:1]) | theirs.choose(setup.samples[:1])
    assert set(made) == set(WHATS)
    assert Theirs(setup, 2).peer.model.get_base_model().language_model.dtype == torch.float32


def test_another_number_of_frames_is_the_same_model(setup):
    ours = Ours(setup, 2)
    more = ours.with_frames(3)
    assert more.predictor.backbone.model is ours.predictor.backbone.model
    assert len(more._items(setup.samples[:1])[0][2]) == 3
    assert len(ours._items(setup.samples[:1])[0][2]) == 2


def test_a_follow_up_is_another_question_as_long(setup):
    for sample in setup.samples:
        asked = another(sample)
        assert asked.question != sample.question
        assert len(asked.question.split()) == len(sample.question.split())
        assert dataclasses.replace(asked, question=sample.question) == sample


def test_ratios_are_paired_by_round():
    made = Asked(16, 1, flops=(6.0, 3.0, 1.0))
    for seconds in (1.0, 2.0):
        made.add(OURS, {"whole": seconds, "choices": 1.0, "follow-up, whole": 0.5})
        made.add(PEER, {"whole": 3 * seconds, "choices": 2.0, "follow-up, whole": 2.0})
    made.add(EACH, {"choices": 8.0})
    lines = findings([made])
    assert "peer / ours 2.00, follow-up 6.00" in lines[0]
    assert "16 frames, whole: peer / ours 3.00 (rounds 3.00 to 3.00); wanted 3" in lines
    assert any(line.startswith(f"16 frames, choices: {EACH} / ours 8.00") for line in lines)
    assert lines[-1].startswith("16 frames, a follow-up question, peer / ours: 4.00")
    assert made.ratio("first") is None
