"""The analysis file: its parts, what it keeps, what it says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from measure.helpers import choice_prediction, open_prediction
from mtrans.core.calibration import Calibration
from mtrans.core.errors import SettingsError
from mtrans.core.records import Turn
from mtrans.measure.analyze import PARTS, Inputs, analysis_path, analyze, read_analysis
from mtrans.measure.predictions import read_predictions, write_predictions
from mtrans.measure.sayings import of_constructs, of_perception, threshold

YES_NO = ("yes", "no")


def answers(n: int = 120, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        margin = float(rng.normal(0, 2))
        label = 0 if rng.random() < 1 / (1 + np.exp(-margin)) else 1
        scores = (3 * margin, 0.0)
        shares = tuple(map(float, np.exp(scores) / np.exp(scores).sum()))
        choice = int(np.argmax(scores))
        out.append(
            choice_prediction(
                i,
                label,
                choice,
                choices=YES_NO,
                log_likelihoods=scores,
                probabilities=shares,
                speaker="ab"[i % 2],
                context=(Turn("the best trip ever." if i % 3 else "i am home."),),
                facts={"show": "xy"[i // 60]},
            )
        )
    return out


def made(path: Path, only=(), **more) -> dict:
    inputs = Inputs(read_predictions(path), resamples=50, **more)
    return analyze(path, inputs, only)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_predictions(tmp_path / "predictions.jsonl", answers())
    return tmp_path / "predictions.jsonl"


def test_every_part_is_there_or_says_why_not(path: Path) -> None:
    document = made(path)
    assert list(document["parts"]) == list(PARTS)
    missing = {name for name, part in document["parts"].items() if "missing" in part}
    assert missing == {"directions", "modality", "perception"}  # nothing asks for a direction
    assert all(part["says"] for name, part in document["parts"].items() if name not in missing)
    kept = json.loads(analysis_path(path).read_text())
    assert kept == json.loads(json.dumps(document))
    assert read_analysis(analysis_path(path), path) == kept


def test_parts_not_asked_for_stay_as_long_as_the_predictions_do(path: Path) -> None:
    made(path, ["modality"], text_only=answers())
    document = made(path, ["bias"])
    assert set(document["parts"]) == {"modality", "bias"}
    # a run over all parts does not lose what needed another file
    assert "missing" not in made(path)["parts"]["modality"]
    write_predictions(path, answers(seed=1))
    assert read_analysis(analysis_path(path), path) is None
    assert set(made(path, ["bias"])["parts"]) == {"bias"}


def test_each_file_has_an_analysis_of_its_own(path: Path) -> None:
    made(path, ["bias"])
    other = path.with_name("other.jsonl")
    write_predictions(other, answers(seed=1))
    made(other, ["bias"])
    assert analysis_path(path) != analysis_path(other)
    assert read_analysis(analysis_path(path), path)
    assert read_analysis(analysis_path(other), other)


def test_a_calibration_is_shown_beside_what_the_model_gives(path: Path) -> None:
    part = made(path, ["calibration"], calibration=Calibration("temperature", 1 / 3))["parts"]
    raw, calibrated = part["calibration"]["variants"]
    error = [next(s for s in v["scores"] if s["metric"] == "ece") for v in (raw, calibrated)]
    assert error[0]["value"] > 2 * error[1]["value"]
    assert "overconfident" in part["calibration"]["says"][0]
    assert [s["value"] for v in (raw, calibrated) for s in v["scores"][:1]] == pytest.approx(
        [raw["scores"][0]["value"]] * 2
    )


def test_a_calibration_that_harms_is_called_so(path: Path) -> None:
    harm = made(path, ["calibration"], calibration=Calibration("temperature", 3.0))["parts"]
    assert any("does not help" in line for line in harm["calibration"]["says"])
    good = made(path, ["calibration"], calibration=Calibration("temperature", 1 / 3))["parts"]
    assert not any("does not help" in line for line in good["calibration"]["says"])


def test_open_answers_alone_leave_every_part_out_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "predictions_val.jsonl"
    write_predictions(path, [open_prediction(i, "cut", "cut") for i in range(5)])
    document = made(path)
    assert all("missing" in part for part in document["parts"].values())
    assert (tmp_path / "analysis_val.json").is_file()


def test_imported_answers_without_probabilities_have_all_but_calibration(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    bare = [
        dataclasses.replace(p, probabilities=None, log_likelihoods=None, parse="parsed")
        for p in answers()
    ]
    write_predictions(path, bare)
    parts = made(path)["parts"]
    assert "probabilities" in parts["calibration"]["missing"]
    assert {"mistakes", "worst", "constructs", "bias"} <= {
        name for name, part in parts.items() if "says" in part
    }


def test_an_unknown_part_is_told(path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'bias'"):
        made(path, ["bais"])


def test_constructs_are_compared_within_a_question_type() -> None:
    rows = [
        {"type": t, "construct": c, "accuracy": a, "low": a - 0.05, "high": a + 0.05, "n": 40}
        for t, c, a in [("easy", "none", 0.95), ("hard", "none", 0.6), ("hard", "contrast", 0.4)]
    ]
    (line,) = of_constructs({"rows": rows})
    assert "contrast (hard), 40.0 %" in line
    assert "no construct (hard), 60.0 %" in line
    assert "chance" not in line


def parted(accuracy: float, **control: float) -> dict:
    answers = {"accuracy": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05, "n": 100}
    found = {"errors": {"reasoning": 5, "perception": 5}, "answers": answers, "seen": 0.3}
    return {**found, "by_chance": 0.1, "seen_when_wrong": 0.5, **control}


def test_seeing_is_only_blamed_where_the_control_differs() -> None:
    alike = of_perception(parted(0.8, seen_when_right=0.52, difference=0.02, low=-0.1))
    assert "does not explain" in alike[1]
    apart = of_perception(parted(0.8, seen_when_right=0.9, difference=0.4, low=0.2))
    assert "Seeing matters" in apart[1]


def test_a_model_that_unlearned_stills_is_not_called_blind() -> None:
    control = {"seen_when_right": 0.52, "difference": 0.02, "low": -0.1}
    image = parted(0.9, **control)
    forgot = of_perception({**parted(0.4, **control), "image_model": image})
    assert "unlearned" in forgot[-1]
    kept = of_perception({**parted(0.85, **control), "image_model": image})
    assert not any("unlearned" in line for line in kept)
    assert sum("the image model" in line for line in kept) == 1


@pytest.mark.parametrize("value", [0.5, 0.631, 0.9988, 0.99996, 1.0])
def test_a_threshold_in_words_lets_the_answer_through(value: float) -> None:
    assert float(threshold(value)) <= value
