"""`mtrans analyze` and `mtrans calibrate`, and what `ask` and `eval` make of a calibration."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

import mtrans as api
from mtrans.app import commands_analyze, commands_robustness
from mtrans.core.calibration import CALIBRATION_FILE, read_calibration
from mtrans.core.records import Turn
from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.measure.predictions import read_predictions

from .conftest import Command, one_line_error


@pytest.fixture(scope="module")
def questions(small: Path) -> Path:
    """24 questions with candidates, dialogue and facts about the eight clips."""
    chosen = [s for s in read_manifest(small / "train.jsonl") if s.choices]
    samples = []
    for i in range(24):
        sample = chosen[i % len(chosen)]
        facts = {"objects": 1, "side": "ab"[i % 2]}
        turn = Turn("what a day.")
        samples.append(dataclasses.replace(sample, id=f"q{i}", context=(turn,), facts=facts))
    path = small / "questions.jsonl"
    write_manifest(path, samples)
    return path


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A run of its own to write to."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_a_calibrated_run_answers_with_calibrated_probabilities(
    mtrans: Command, copy: Path, questions: Path
) -> None:
    done = mtrans("calibrate", copy, "--data", questions)
    assert done.status == 0, done.err
    assert "temperature" in done.out
    kept = read_calibration(copy)
    assert kept is not None
    assert (kept.n, kept.clips, kept.fitted_on) == (24, 8, "predictions_val.jsonl")
    before = {p.id: p for p in read_predictions(copy / "predictions.jsonl")}
    manifest = questions.parent / "train.jsonl"
    assert mtrans("eval", copy, "--data", manifest).status == 0
    p = next(p for p in read_predictions(copy / "predictions.jsonl") if p.choices)
    assert p.log_likelihoods == before[p.id].log_likelihoods
    assert p.probabilities == kept.probabilities(p.log_likelihoods, p.choices)
    assert mtrans("eval", copy, "--data", manifest, "--raw").status == 0
    raw = next(q for q in read_predictions(copy / "predictions.jsonl") if q.id == p.id)
    assert raw.probabilities == pytest.approx(before[p.id].probabilities)
    # a second fit needs no --data; platt names its texts
    done = mtrans("calibrate", copy, "--method", "platt")
    assert done.status == 0, done.err
    assert "bias of" in done.out


def test_ask_gives_no_answer_below_the_threshold(
    mtrans: Command, copy: Path, questions: Path
) -> None:
    sample = read_manifest(questions)[0]
    words = ["ask", copy, sample.video, sample.question]
    words += [w for choice in sample.choices or () for w in ("--choice", choice)]
    told = json.loads(mtrans(*words, "--json").out)
    assert told["probabilities"] == told["raw_probabilities"]
    assert told["abstained"] is False
    done = mtrans(*words, "--abstain-below", "1")
    assert done.status == 0, done.err
    assert done.out.startswith("no answer: the likeliest candidate has ")
    one_line_error(mtrans(*words[:4], "--abstain-below", "0.5"), "needs candidates")


def test_analyze_writes_the_file_and_the_report(
    mtrans: Command, copy: Path, questions: Path
) -> None:
    assert mtrans("eval", copy, "--data", questions, "--overwrite").status == 0
    done = mtrans("analyze", copy, "--column", "side")
    assert done.status == 0, done.err
    assert "calibration:\n" in done.out
    document = json.loads((copy / "analysis.json").read_text())
    assert [c["name"] for c in document["parts"]["bias"]["columns"]] == ["side"]
    assert "says" in document["parts"]["constructs"]
    assert '<section id="analysis">' in (copy / "report.html").read_text()
    done = mtrans("analyze", copy, "--only", "perception")
    assert done.status == 0, done.err
    perception = json.loads((copy / "analysis.json").read_text())["parts"]["perception"]
    assert perception["asked"] == 8
    assert perception["stills"][0]["type"] == "still count"
    assert len(read_predictions(copy / "predictions_stills.jsonl")) == 8


@pytest.mark.slow
def test_one_command_answers_all_questions_of_the_page(
    mtrans: Command, copy: Path, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_analyze, "FULL_CLIPS", 2)
    monkeypatch.setattr(commands_robustness, "QUICK_CLIPS", 2)
    assert mtrans("eval", copy, "--data", questions, "--overwrite").status == 0
    done = mtrans("analyze", copy, "--full")
    assert done.status == 0, done.err
    page = (copy / "report.html").read_text()
    short = page[page.index('<section id="short">') : page.index('<section id="results">')]
    assert "Not measured" not in short
    for question in ("use time?", "What disturbs it?", "maps be trusted?"):
        assert question in short
    assert (copy / "predictions_stills_image_model.jsonl").is_file()


def test_mistakes_of_the_user_are_one_line(
    mtrans: Command, copy: Path, small: Path, tmp_path: Path
) -> None:
    one_line_error(mtrans("analyze", copy, "--only", "bais"), "did you mean 'bias'")
    one_line_error(mtrans("analyze", copy, "--full", "--only", "bias"), "leave --only away")
    one_line_error(mtrans("analyze", copy, "--only", "perception"), "no clip's objects are known")
    one_line_error(mtrans("analyze", tmp_path), "has no predictions.jsonl")
    one_line_error(mtrans("analyze", tmp_path / "none.jsonl"), "can't be read")
    one_line_error(mtrans("calibrate", copy), "give the validation clips with --data")
    one_line_error(mtrans("calibrate", copy, "--method", "magic"), "--method magic")
    few = mtrans("calibrate", copy, "--data", small / "train.jsonl")
    one_line_error(few, "calibration wants 20 or more")
    (copy / CALIBRATION_FILE).write_text("{")
    one_line_error(mtrans("ask", copy, "-", "left ?"), "is damaged", "`mtrans calibrate`")


def test_a_calibration_goes_where_it_is_looked_for(
    mtrans: Command, copy: Path, small: Path, questions: Path
) -> None:
    (copy / CALIBRATION_FILE).write_text("{")  # damaged: the way out that errors name must work
    done = mtrans("calibrate", copy / "adapter", "--data", questions)
    assert done.status == 0, done.err
    assert read_calibration(copy) is not None
    assert not (copy / "adapter" / CALIBRATION_FILE).exists()
    nowhere = mtrans("calibrate", small / "backbone", "--data", questions)
    one_line_error(nowhere, "no run folder to keep a calibration in")
    assert not (small / "backbone" / "predictions_val.jsonl").exists()


def test_the_api_calibrates_and_can_be_told_not_to(copy: Path, questions: Path) -> None:
    sample = read_manifest(questions)[0]
    model = api.load(copy, device="cpu")
    before = model.ask(sample.video, sample.question, sample.choices)
    found = model.calibrate(questions, progress=False)
    after = model.ask(sample.video, sample.question, sample.choices)
    assert after.raw_probabilities == before.probabilities
    assert found.slope != pytest.approx(1.0, abs=1e-3)
    assert after.probabilities != before.probabilities
    raw = api.load(copy, calibrated=False, device="cpu")
    assert (
        raw.ask(sample.video, sample.question, sample.choices).probabilities == before.probabilities
    )
    sure = max(after.probabilities or ())
    assert model.ask(
        sample.video, sample.question, sample.choices, abstain_below=min(1, sure + 0.01)
    ).abstained
