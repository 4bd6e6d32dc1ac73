"""What an answer of a model of another kind costs, and the times of frames it is told."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mtrans.core.settings import load_settings
from mtrans.infer.foreign import _vision, load_foreign
from mtrans.infer.latency import answer_cost
from mtrans.video.container import Frames

from .foreign_models import ask_about_shades, make_llava


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    torch.manual_seed(0)
    make_llava(folder := tmp_path_factory.mktemp("llava"))
    settings = load_settings(overrides=["frames.count=2", "dtype=fp32"])
    return load_foreign(str(folder), settings, device="cpu", max_new_tokens=4)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return ask_about_shades(tmp_path_factory.mktemp("clips"))


def test_the_cost_of_a_model_of_another_kind(predictor, sample):
    gone = dataclasses.replace(sample, id="0", video=f"{sample.video}.gone")
    cost = answer_cost(predictor, [gone, sample])
    said = next(predictor.predict([sample]))
    assert cost.visual_tokens == said.tokens["visual"] > 0
    assert (predictor.max_new_tokens, predictor.likelihood) == (4, False)
    assert predictor.backbone.model.training is False
    tokens = said.tokens["visual"] + said.tokens["prompt"]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        predictor.backbone.model(input_ids=torch.zeros(1, tokens, dtype=torch.long))
    assert cost.answer_flops > counter.get_total_flops()  # the ViT comes on top
    more = load_settings(overrides=["frames.count=4", "dtype=fp32"])
    predictor.settings = dataclasses.replace(predictor.settings, frames=more.frames)
    twice = answer_cost(predictor, [sample])
    assert twice.visual_tokens == 2 * cost.visual_tokens
    assert twice.answer_flops > cost.answer_flops
    assert answer_cost(predictor, [sample], count=False).answer_flops is None
    assert answer_cost(predictor, [gone]) is None


@pytest.mark.parametrize("seconds", [1.0, 4.0, 60.0])
def test_models_that_are_told_the_time_are_told_the_right_one(seconds):
    """Frames in the centres of equal parts: not one of them is at a whole number of steps."""
    times = (np.arange(4) + 0.5) * seconds / 4
    frames = Frames(np.zeros((4, 8, 8, 3), np.uint8), times)
    _, given = _vision(SimpleNamespace(video_processor=object()), frames)
    (about,) = given["video_metadata"]
    assert np.array(about["frames_indices"]) / about["fps"] == pytest.approx(times)
    assert given["do_sample_frames"] is False
