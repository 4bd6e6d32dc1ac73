"""Temperature over clips: an overconfident predictor is put right by what it has not seen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mtrans.core.calibration import softmax
from mtrans.core.records import Prediction
from mtrans.measure.apply import measure
from mtrans.measure.predictions import PredictionsError
from mtrans.report.study import calibration_pictures
from mtrans.study.calibration_curve import METRICS, Point, crossed, curve_table, write_curve

CHOICES = ("a", "b", "c", "d")


def overconfident(n: int, factor: float = 3.0) -> list[Prediction]:
    """Answers drawn from the true shares, with likelihoods that are `factor` times too sure."""
    rng = np.random.default_rng(1)
    out = []
    for i in range(n):
        true = rng.normal(0, 1.2, 4)
        label = int(rng.choice(4, p=softmax(list(true))))
        scores = tuple(float(v) for v in factor * true)
        choice = int(np.argmax(scores))
        out.append(
            Prediction(
                id=f"q{i}",
                video=f"{i // 2}.mp4",
                question="which?",
                answer=CHOICES[choice],
                target=CHOICES[label],
                choices=CHOICES,
                label=label,
                choice=choice,
                probabilities=softmax(list(scores)),
                log_likelihoods=scores,
                parse="scored",
            )
        )
    return out


def value(predictions: list[Prediction], metric: str) -> float:
    return measure(predictions, [metric], resamples=2)[0].value


def test_each_half_is_calibrated_by_the_other() -> None:
    given = overconfident(800)
    made, fits = crossed(given)
    assert [1 / f.slope for f in fits] == pytest.approx([3, 3], rel=0.25)
    assert {f.clips for f in fits} == {200}
    assert value(made, "ece") < 0.05 < 0.15 < value(given, "ece")
    assert [p.id for p in made] == [p.id for p in given]
    assert [p.answer for p in made] == [p.answer for p in given]


def test_no_clip_is_measured_with_a_temperature_that_knows_it() -> None:
    given = overconfident(200)
    made, _ = crossed(given)
    # other truths about one clip change what the other half's clips get, never its own
    flipped = [
        dataclasses.replace(p, label=(p.label + 1) % 4) if p.video == "0.mp4" else p for p in given
    ]
    again, _ = crossed(flipped)
    assert made[0].probabilities == again[0].probabilities
    assert sum(a.probabilities != b.probabilities for a, b in zip(made, again, strict=True)) == 100


def test_few_clips_give_a_fit_or_say_that_they_do_not() -> None:
    given = overconfident(200)
    _, fits = crossed(given, 12)
    assert {f.clips for f in fits} == {12}
    with pytest.raises(PredictionsError, match="20 or more"):
        crossed(given, 5)


def test_rows_of_several_data_sets_say_which() -> None:
    scores = {"raw": measure(overconfident(60), METRICS, resamples=20)}
    one, other = (Point(d, "mtrans", 25, [0], None, {}, scores) for d in ("physics", "talk"))
    assert curve_table([one]).startswith("| contender |")
    lines = curve_table([one, other]).splitlines()
    assert lines[0].startswith("| data | contender |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| physics", "| talk"]


def test_a_curve_is_a_table_with_words_and_a_picture(tmp_path: Path) -> None:
    scores = {
        "raw": measure(overconfident(60), METRICS, resamples=20),
        "few": measure(overconfident(60, 1.0), METRICS, resamples=20),
    }
    points = [
        Point("talk", name, clips, [0], 6, {"few": 3.0}, scores)
        for name in ("mtrans", "focal")
        for clips in (25, 600)
    ]
    _, page = write_curve(points, tmp_path)
    assert page.read_text().startswith("### confidence\n")
    assert "| mtrans | 600 |" in page.read_text()
    ((name, svg),) = calibration_pictures(points)
    assert name == "calibration-talk.svg"
    assert all(words in svg for words in ("focal, one temperature", ">25</text>", ">600</text>"))
    assert not list(calibration_pictures(points[:1]))  # one number of clips is no curve
