"""Deletion and insertion on a score whose true map is known."""

from __future__ import annotations

import numpy as np
import pytest

from mtrans.infer.faithfulness import STEPS, faithfulness, random_curves

CELLS = 64
TRUE = np.zeros(CELLS)
TRUE[[3, 17, 29, 41, 50, 63]] = 1 / 6


def score(shown: np.ndarray) -> np.ndarray:
    """The share of the few cells that count which is shown."""
    return shown @ TRUE


def test_the_true_map_beats_random_orders() -> None:
    random = random_curves(score, CELLS)
    assert random.shape == (2, 19, STEPS + 1)
    found = faithfulness(score, TRUE, random)
    assert found["deletion"]["curve"][:2] == [pytest.approx(1.0), pytest.approx(0.0)]
    assert found["insertion"]["curve"][:2] == [pytest.approx(0.0), pytest.approx(1.0)]
    for name in ("deletion", "insertion"):
        assert found[name]["better"]
        assert found[name]["p"] == pytest.approx(1 / 20)
    assert found["deletion"]["area"] < found["deletion"]["random_area"]
    assert found["insertion"]["area"] > found["insertion"]["random_area"]
    assert found["says"] == "Better than random orders by deletion and by insertion."


def test_a_wrong_map_says_that_it_is_no_better_than_random() -> None:
    random = random_curves(score, CELLS)
    found = faithfulness(score, -TRUE, random)
    assert not found["deletion"]["better"]
    assert found["says"].startswith("No better than random")


def test_a_model_that_does_not_look_makes_no_map_better() -> None:
    blind = lambda shown: np.full(len(shown), 0.7)  # noqa: E731
    found = faithfulness(blind, TRUE, random_curves(blind, CELLS))
    assert found["deletion"]["p"] == 1.0
    assert not found["insertion"]["better"]


def test_random_maps_are_seldom_called_better() -> None:
    random = random_curves(score, CELLS)
    rng = np.random.default_rng(1)
    better = [
        faithfulness(score, rng.random(CELLS), random)["deletion"]["better"] for _ in range(100)
    ]
    assert np.mean(better) < 0.2
