"""Line and sense of direction, on predictors whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from measure.helpers import choice_prediction
from mtrans.core.records import Prediction
from mtrans.measure import sayings
from mtrans.measure.directions import directions
from mtrans.measure.reversal import OPPOSITE

WAYS = ("left", "right", "up", "down")


def answers(n: int, say) -> list[Prediction]:
    rng = np.random.default_rng(0)
    out = []
    for i in range(n):
        right = WAYS[int(rng.integers(4))]
        choice = WAYS.index(say(right, rng))
        out.append(choice_prediction(i, WAYS.index(right), choice, choices=WAYS))
    return out


def test_a_model_without_order_has_the_line_and_guesses_the_sense() -> None:
    found = directions(answers(400, lambda right, rng: rng.choice([right, OPPOSITE[right]])))
    assert found is not None
    assert (found["line"], found["line_chance"]) == (1.0, 0.5)
    assert found["sense"] == pytest.approx(0.5, abs=0.08)
    assert found["sense_low"] < 0.5 < found["sense_high"]
    assert "not which frame came first" in sayings.of_directions(found)[-1]


def test_a_model_that_reverses_has_the_line_and_no_sense() -> None:
    found = directions(answers(60, lambda right, rng: OPPOSITE[right]))
    assert found is not None
    assert (found["line"], found["sense"], found["sense_n"]) == (1.0, 0.0, 60)


def test_a_guesser_has_neither() -> None:
    found = directions(answers(600, lambda right, rng: rng.choice(WAYS)))
    assert found is not None
    assert found["line"] == pytest.approx(0.5, abs=0.06)
    assert "not shown to see motion" in sayings.of_directions(found)[-1]


def test_few_answers_along_the_line_say_little_of_the_sense() -> None:
    def asked(seen: int) -> dict:
        items = [choice_prediction(i, 0, 0 if i < seen else 2, choices=WAYS) for i in range(60)]
        return directions(items)  # type: ignore[return-value]

    six = asked(6)
    assert (six["sense"], six["sense_n"]) == (1.0, 6)
    assert six["sense_low"] == pytest.approx(0.541, abs=1e-3)  # Clopper-Pearson, 6 of 6
    none = asked(0)
    assert (none["sense_n"], none["sense_low"], none["sense_high"]) == (0, 0.0, 1.0)


def test_other_questions_do_not_count() -> None:
    assert directions(answers(19, lambda right, rng: right)) is None
    two = [choice_prediction(i, 0, 0, choices=("left", "right")) for i in range(40)]
    assert directions(two) is None


def test_the_way_may_be_known_along_one_line_only() -> None:
    def say(right, rng):
        return right if right in ("up", "down") else rng.choice(["left", "right"])

    found = directions(answers(400, say))
    assert found is not None
    assert found["axes"]["up-down"]["sense"] == 1.0
    assert found["axes"]["left-right"]["sense"] == pytest.approx(0.5, abs=0.1)
    assert found["axes"]["left-right"]["sense_n"] + found["axes"]["up-down"]["sense_n"] == 400
    assert "not known alike: up-down in 100.0 %" in sayings.axes_apart(found)
    both = directions(answers(400, lambda right, rng: right))
    assert both is not None
    assert sayings.axes_apart(both) == ""
