"""Models of other kinds, tiny and random, through the same predictions file as our own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.records import Sample
from mtrans.core.settings import load_settings
from mtrans.infer.conditions import Condition
from mtrans.infer.evaluate import evaluate
from mtrans.infer.foreign import load_foreign
from mtrans.measure.score import score_predictions

from .foreign_models import ask_about_shades, make_idefics3, make_llava


@pytest.fixture(scope="module", params=[make_llava, make_idefics3], ids=["llava", "idefics3"])
def checkpoint(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param.__name__)
    torch.manual_seed(0)
    request.param(folder)
    return folder


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    one = ask_about_shades(tmp_path_factory.mktemp("clips"))
    video = Path(one.video)
    return [
        one,
        dataclasses.replace(one, id="2", answer="blue", label=1),
        Sample("3", str(video), "What is it?", "a wall"),
        dataclasses.replace(one, id="4", video=str(video.with_name("gone.mp4"))),
    ]


def _settings():
    return load_settings(overrides=["frames.count=2", "dtype=fp32"])


def test_evaluates_into_our_predictions(checkpoint, samples, tmp_path):
    predictor = load_foreign(str(checkpoint), _settings(), device="cpu", max_new_tokens=4)
    out = tmp_path / "predictions.jsonl"
    done = evaluate(predictor, samples, out, progress=False)
    assert (done.answered, done.reused, done.failed) == (4, 0, 1)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["1", "2", "3", "4"]
    assert lines[0]["parse"] in ("parsed", "failed")
    assert lines[2]["parse"] == "open"
    assert lines[0]["tokens"]["visual"] > 0
    assert lines[0]["answer"] == lines[1]["answer"]
    assert "gone.mp4" in lines[3]["error"]
    assert {s.metric for s in score_predictions(out)} >= {"accuracy"}
    again = evaluate(predictor, samples, out, progress=False)
    assert (again.answered, again.reused) == (0, 4)
    predictor.likelihood = True  # another way to answer: what was written must not pass for it
    with pytest.raises(CheckpointError, match="predictions of other likelihood"):
        evaluate(predictor, samples, out, progress=False)
    scored = evaluate(predictor, samples, out, progress=False, overwrite=True)
    assert scored.answered == 4
    predictor.likelihood = False
    with pytest.raises(CheckpointError, match="predictions of other likelihood"):
        evaluate(predictor, samples, out, progress=False)


def test_likelihoods_are_the_models_own(checkpoint, samples):
    predictor = load_foreign(str(checkpoint), _settings(), device="cpu", likelihood=True)
    (made,) = predictor.predict(samples[:1])
    assert made.parse == "scored"
    assert sum(made.probabilities) == pytest.approx(1)
    # the likeliest first token, appended, must get the likelihood that the logits give it
    with torch.inference_mode():
        from mtrans.video.clip import load_clip

        frames = load_clip(samples[0].video, predictor.settings.frames)
        inputs = predictor._inputs(samples[0], frames)
        logp = predictor.backbone.model(**inputs).logits[0, -1].log_softmax(-1)
        best = int(logp.argmax())
        assert predictor._log_likelihood(inputs, [best]) == pytest.approx(float(logp[best]), 1e-4)
    dark = dataclasses.replace(frames, pixels=np.zeros_like(frames.pixels))
    with torch.inference_mode():
        other = predictor.backbone.model(**predictor._inputs(samples[0], dark)).logits[0, -1]
    assert not torch.allclose(other.log_softmax(-1), logp, atol=1e-4)  # it does look


def test_what_it_refuses(checkpoint, samples, tmp_path):
    predictor = load_foreign(f"hf:{checkpoint}", _settings(), device="cpu")
    with pytest.raises(SettingsError, match="condition"):
        next(predictor.predict(samples, condition=Condition()))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="can't be loaded"):
        load_foreign(str(tmp_path), _settings(), device="cpu")
