"""Retrieval: is the right one of many candidates near the top?

The score matrix, queries by gallery, is a predictions file: a query is a multiple-choice prediction
whose `choices` are the gallery (captions, or names of clips), `label` the right one and
`log_likelihoods` its row of scores, any numbers of which higher is better::

    {"id": "q7", "video": "7.mp4", "question": "which caption?", "choices": ["a dog", "a cat"],
     "label": 0, "choice": 1, "answer": "a cat", "log_likelihoods": [-3.2, -1.1]}

A rank counts from 1. Candidates with the right one's score stand before it, so that a model that
gives all the same gains nothing; a query without scores (an unread clip) has the last rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse

from mtrans.core.records import Prediction
from mtrans.measure.metrics import Array, Statistics, mean_of, metric

KS = (1, 5, 10)
"""The k of recall at k."""


def rank_of(prediction: Prediction) -> int:
    """Returns the rank of the right candidate, from 1.

    Args:
        prediction: One with candidates and a known right one.
    """
    scores = prediction.log_likelihoods or prediction.probabilities
    right = prediction.label
    if right is None and prediction.target in (prediction.choices or ()):
        right = (prediction.choices or ()).index(prediction.target)
    if scores is None or right is None or prediction.error is not None:
        return len(prediction.choices or "x")
    return sum(score >= scores[right] for score in scores)


def _recall(k: int) -> Callable[[Sequence[Prediction]], Statistics]:
    def recall(predictions: Sequence[Prediction]) -> Statistics:
        return mean_of([float(rank_of(p) <= k) for p in predictions])

    return recall


def _recall_by_chance(k: int) -> Callable[[Sequence[Prediction]], float]:
    def chance(predictions: Sequence[Prediction]) -> float:
        sizes = np.array([len(p.choices or "x") for p in predictions])
        return float(np.mean(np.minimum(k, sizes) / sizes))

    return chance


for _k in KS:
    metric(
        f"recall_at_{_k}",
        task="choice",
        about=f"Share of queries whose right candidate has one of the {_k} highest scores",
        chance=_recall_by_chance(_k),
    )(_recall(_k))


def _middle_by_chance(predictions: Sequence[Prediction]) -> float:
    """Returns the median of the mixture of uniform ranks."""
    sizes = np.array([len(p.choices or "x") for p in predictions])
    ranks = np.arange(1, sizes.max() + 1)
    weights = (ranks <= sizes[:, None]) / sizes[:, None]
    return float(_middle(weights.sum(axis=0), ranks))


@metric("median_rank", task="choice", chance=_middle_by_chance, higher_is_better=False, share=False)
def median_rank(predictions: Sequence[Prediction]) -> Statistics:
    """Median over queries of the right candidate's rank, from 1: a number, not a share."""
    ranks, column = np.unique([rank_of(p) for p in predictions], return_inverse=True)
    count = len(predictions)
    rows = sparse.csr_array((np.ones(count), (np.arange(count), column)), shape=(count, len(ranks)))
    return Statistics(rows, lambda sums: _middle(sums, ranks), fraction=False)


def _middle(counts: Array, values: np.ndarray) -> Array:
    """Returns the median of values that occur so often.

    Args:
        counts: float[..., v], not negative, not all 0.
        values: float[v], ascending.

    Returns:
        float[...]; between two middle values their mean.
    """
    reached = np.cumsum(counts, axis=-1)
    half = reached[..., -1:] / 2
    slack = 1e-9 * half  # sums of shares may miss a half by rounding
    low = np.argmax(reached >= half - slack, axis=-1)
    high = np.argmax(reached > half + slack, axis=-1)
    return np.asarray((values[low] + values[high]) / 2, dtype=np.float64)
