"""A run's calibration: applied to likelihoods, kept on disk."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mtrans.core.calibration import (
    CALIBRATION_FILE,
    Calibration,
    read_calibration,
    recalibrated,
    softmax,
    write_calibration,
)
from mtrans.core.errors import CheckpointError
from mtrans.core.records import Prediction


def scored(*scores: float, parse: str = "scored") -> Prediction:
    choices = ("yes", "no", "perhaps")[: len(scores)]
    return Prediction(
        "a", None, "?", choices[0], choices=choices, choice=0, log_likelihoods=scores, parse=parse
    )


def test_a_temperature_of_two_halves_the_log_odds() -> None:
    raw = softmax((-1.0, -3.0))
    cooled = Calibration("temperature", 0.5).probabilities((-1.0, -3.0), ("yes", "no"))
    assert math.log(raw[0] / raw[1]) == pytest.approx(2.0)
    assert math.log(cooled[0] / cooled[1]) == pytest.approx(1.0)
    assert math.fsum(cooled) == pytest.approx(1.0)


def test_scores_far_below_nothing_still_give_shares() -> None:
    assert softmax((-5000.0, -5000.0)) == (0.5, 0.5)


def test_a_bias_can_change_the_answer_a_slope_cannot() -> None:
    before = scored(-1.0, -1.5)
    assert recalibrated(before, Calibration("temperature", 0.1)).answer == "yes"
    after = recalibrated(before, Calibration("platt", 1.0, {"no": 1.0}))
    assert (after.choice, after.answer) == (1, "no")
    assert after.log_likelihoods == before.log_likelihoods
    assert recalibrated(after, None).answer == "yes"


def test_what_was_not_scored_stays() -> None:
    parsed = scored(-1.0, -1.5, parse="parsed")
    assert recalibrated(parsed, Calibration("platt", 1.0, {"no": 9.0})) is parsed


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None
    kept = Calibration(
        "platt", 0.7, {"no": 0.25}, "predictions_val.jsonl", "abc", 120, 60, 0.7, 0.6
    )
    assert write_calibration(tmp_path, kept).name == CALIBRATION_FILE
    assert read_calibration(tmp_path) == kept


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"method": "temperature", "slope": 0}',
        '{"method": "magic", "slope": 1}',
        '{"method": "platt", "slope": 1, "bias": {"no": NaN}}',
        '{"method": "platt", "slope": 1, "bias": 3}',
        '{"method": "temperature", "slope": "1"}',
    ],
)
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(text)
    with pytest.raises(CheckpointError, match="calibrate"):
        read_calibration(tmp_path)
