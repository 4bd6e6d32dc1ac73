"""Predictions files: complete, resumable, never of something else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mtrans.core.calibration import Calibration, recalibrated
from mtrans.core.errors import CheckpointError, ManifestError
from mtrans.core.files import read_jsonl
from mtrans.core.records import Sample
from mtrans.infer.evaluate import evaluate, meta_path
from mtrans.infer.predictor import Predictor, load_predictor
from mtrans.measure.predictions import read_predictions
from mtrans.measure.score import score_predictions
from mtrans.train.run_folder import RunFolder


@pytest.fixture(scope="module")
def predictor(run: RunFolder) -> Predictor:
    return load_predictor(run.path, device="cpu")


def test_every_sample_gets_a_line_that_can_be_measured(
    predictor: Predictor, samples: list[Sample], tmp_path: Path
) -> None:
    choice = [s for s in samples if s.choices]
    done = evaluate(predictor, choice, tmp_path / "predictions.jsonl", progress=False)
    assert (done.answered, done.reused, done.failed) == (8, 0, 0)
    records = read_jsonl(done.predictions)
    assert [r["id"] for r in records] == [s.id for s in choice]
    scores = {s.metric: s for s in score_predictions(done.predictions) if not s.slice}
    right = sum(r["choice"] == r["label"] for r in records)
    assert scores["accuracy"].value == pytest.approx(right / 8)
    meta = json.loads(meta_path(done.predictions).read_text())
    assert meta["finished"]
    assert meta["data"]["samples"] == 8


def test_a_stopped_evaluation_goes_on(
    predictor: Predictor, samples: list[Sample], tmp_path: Path
) -> None:
    path = tmp_path / "predictions.jsonl"
    whole = evaluate(predictor, samples, path, progress=False)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:6]) + lines[6][:40])  # killed while it wrote the seventh
    again = evaluate(predictor, samples, path, progress=False)
    assert (again.answered, again.reused) == (len(samples) - 6, 6)
    keep = ("id", "answer", "choice", "log_likelihoods")
    before = [{k: json.loads(line).get(k) for k in keep[:3]} for line in lines]
    after = [{k: r.get(k) for k in keep[:3]} for r in read_jsonl(path)]
    assert before == after
    assert evaluate(predictor, samples, path, progress=False).answered == 0
    assert whole.predictions == path


def test_predictions_of_something_else_are_not_touched(
    predictor: Predictor, samples: list[Sample], small: Path, tmp_path: Path
) -> None:
    path = tmp_path / "predictions.jsonl"
    evaluate(predictor, samples[:4], path, progress=False)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="other data"):
        evaluate(predictor, samples[:5], path, progress=False)
    unadapted = load_predictor(small / "backbone", device="cpu")
    with pytest.raises(CheckpointError, match=r"other .*adapter"):
        evaluate(unadapted, samples[:4], path, progress=False)
    assert path.read_bytes() == before
    evaluate(predictor, samples[:5], path, progress=False, overwrite=True)
    assert len(read_jsonl(path)) == 5


def test_predictions_of_a_version_with_fewer_settings_are_still_these(
    predictor: Predictor, samples: list[Sample], tmp_path: Path
) -> None:
    path = tmp_path / "predictions.jsonl"
    evaluate(predictor, samples[:4], path, progress=False)
    meta = json.loads(meta_path(path).read_text())
    del meta["settings"]["model"]["queries"]  # did not exist then
    meta_path(path).write_text(json.dumps(meta))
    assert evaluate(predictor, samples[:4], path, progress=False).reused == 4
    for model in ({**meta["settings"]["model"], "queries": 1}, {"of another version": 1}):
        other = {**meta, "settings": {**meta["settings"], "model": model}}
        meta_path(path).write_text(json.dumps(other))
        with pytest.raises(CheckpointError, match="predictions of other settings"):
            evaluate(predictor, samples[:4], path, progress=False)


def test_bad_clips_are_counted(predictor: Predictor, samples: list[Sample], tmp_path: Path) -> None:
    gone = dataclasses.replace(samples[0], id="gone", video=str(tmp_path / "gone.mp4"))
    done = evaluate(predictor, [gone, samples[1]], tmp_path / "p.jsonl", progress=False)
    assert (done.answered, done.failed) == (2, 1)
    assert [r["parse"] for r in read_jsonl(done.predictions)] == ["failed", "open"]


def test_inputs_that_make_no_sense(
    predictor: Predictor, samples: list[Sample], small: Path, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match="no sample"):
        evaluate(predictor, [], tmp_path / "p.jsonl")
    with pytest.raises(ManifestError, match="two samples have the id '0-way'"):
        evaluate(predictor, [samples[0], samples[0]], tmp_path / "p.jsonl")
    with pytest.raises(CheckpointError, match="no run folder"):
        evaluate(small / "backbone", samples)


def test_predictions_made_before_a_calibration_are_calibrated_without_asking_again(
    predictor: Predictor, samples: list[Sample], tmp_path: Path
) -> None:
    path = tmp_path / "predictions.jsonl"
    choice = [s for s in samples if s.choices]
    evaluate(predictor, choice, path, progress=False)
    before = read_predictions(path)
    answer = before[0].choices[0]
    calibration = Calibration("platt", 0.5, {answer: 50.0})
    calibrated = Predictor(
        predictor.backbone, predictor.settings, run=predictor.run, calibration=calibration
    )
    again = evaluate(calibrated, choice, path, progress=False)
    assert (again.answered, again.reused) == (0, len(choice))
    after = read_predictions(path)
    assert [p.log_likelihoods for p in after] == [p.log_likelihoods for p in before]
    assert after[0].answer == answer
    assert after == [recalibrated(p, calibration) for p in before]
    assert json.loads(meta_path(path).read_text())["calibration"]["method"] == "platt"
    evaluate(predictor, choice, path, progress=False)
    back = read_predictions(path)
    assert [p.answer for p in back] == [p.answer for p in before]
    assert back[0].probabilities == pytest.approx(before[0].probabilities)
