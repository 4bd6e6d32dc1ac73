"""Recall at k and the median rank of a small score matrix."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from measure.helpers import choice_prediction
from mtrans.core.records import Prediction
from mtrans.measure.apply import measure
from mtrans.measure.predictions import read_predictions, write_predictions
from mtrans.measure.retrieval import rank_of

NAMES = ["recall_at_1", "recall_at_5", "recall_at_10", "median_rank"]


def queries(matrix: np.ndarray) -> list[Prediction]:
    """Query i's right candidate is i."""
    gallery = tuple(f"clip {i}" for i in range(matrix.shape[1]))
    return [
        choice_prediction(
            i,
            i,
            int(row.argmax()),
            choices=gallery,
            log_likelihoods=tuple(float(v) for v in row),
        )
        for i, row in enumerate(matrix)
    ]


def measured(items: list[Prediction]) -> dict[str, float]:
    return {s.metric: s.value for s in measure(items, NAMES, resamples=50)}


def test_by_hand() -> None:
    matrix = np.array([[9.0, 1, 2], [3, 2, 1], [8, 7, 6], [0, 0, 0]])[:3]
    items = queries(matrix)
    assert [rank_of(p) for p in items] == [1, 2, 3]
    assert measured(items) == pytest.approx(
        {"recall_at_1": 1 / 3, "recall_at_5": 1, "recall_at_10": 1, "median_rank": 2}
    )
    assert measured(items[:2])["median_rank"] == 1.5


def test_as_by_sorting() -> None:
    matrix = np.random.default_rng(0).normal(size=(60, 60)) + np.eye(60)
    ranks = [1 + list(np.argsort(-row)).index(i) for i, row in enumerate(matrix)]
    got = measured(queries(matrix))
    for k in (1, 5, 10):
        assert got[f"recall_at_{k}"] == pytest.approx(np.mean(np.array(ranks) <= k))
    assert got["median_rank"] == np.median(ranks)
    assert got["recall_at_1"] < got["recall_at_5"] < got["recall_at_10"] < 1


def test_bootstrap_of_the_median_is_that_of_ranks() -> None:
    matrix = np.random.default_rng(1).normal(size=(41, 41))
    items = queries(matrix)
    (score,) = measure(items, ["median_rank"], resamples=400)
    ranks = np.array([rank_of(p) for p in items])
    draws = np.random.default_rng(2).integers(0, 41, (4000, 41))
    wanted = np.quantile(np.median(ranks[draws], axis=1), [0.025, 0.975])
    assert (score.low, score.high) == pytest.approx(tuple(wanted), abs=2.5)
    assert score.low is not None
    assert score.low < score.value


def test_ties_and_missing_scores_gain_nothing() -> None:
    items = queries(np.zeros((4, 4)))
    assert [rank_of(p) for p in items] == [4, 4, 4, 4]
    items = [dataclasses.replace(p, log_likelihoods=None) for p in queries(np.eye(3))]
    assert [rank_of(p) for p in items] == [3, 3, 3]
    shares = [dataclasses.replace(p, probabilities=(0.2, 0.5, 0.3)) for p in items]
    assert [rank_of(p) for p in shares] == [3, 1, 2]
    broken = [dataclasses.replace(p, error="cut off") for p in queries(np.eye(3))]
    assert measured(broken)["recall_at_1"] == 0


def test_a_perfect_matrix_and_chance() -> None:
    scores = {s.metric: s for s in measure(queries(np.eye(20)), NAMES, resamples=50)}
    assert scores["recall_at_1"].value == scores["median_rank"].value == 1
    assert scores["median_rank"].low == scores["median_rank"].high == 1
    assert scores["recall_at_1"].low is not None
    assert scores["recall_at_1"].low < 1
    assert scores["recall_at_5"].chance == pytest.approx(5 / 20)
    assert scores["median_rank"].chance == pytest.approx(10.5)


def test_the_matrix_survives_the_file(tmp_path) -> None:
    items = queries(np.random.default_rng(3).normal(size=(12, 12)))
    write_predictions(tmp_path / "predictions.jsonl", items)
    assert measured(read_predictions(tmp_path / "predictions.jsonl")) == measured(items)
