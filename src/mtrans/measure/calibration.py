"""How far a model's confidence can be trusted, from candidate probabilities.

    p(said) of each answer --equal-mass bins--> confidence against accuracy --> calibration error
                           --sorted-----------> answer the surest share only --> risk, coverage

Confidence is the probability of the candidate that was said. Every number here is a function of
sums over items (:class:`~mtrans.measure.metrics.Statistics`), so that intervals are drawn over
videos like those of all other metrics. Formulas and sources: docs/analysis.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import erf

from mtrans.core.records import Prediction
from mtrans.measure.metrics import Array, Statistics, is_right, mean_of, metric
from mtrans.measure.predictions import PredictionsError

BINS = 15
"""Most bins of a calibration error."""

PER_BIN = 20
"""Fewest answers in a bin: with fewer the noise of a bin's accuracy is all one sees."""

FLOOR = 1e-12
"""A probability is taken to be no smaller, so that a logarithm exists."""


class Confidence(NamedTuple):
    """What calibration has to know of n answers.

    Attributes:
        said: float[n], probability of the candidate that was said; NaN where there is none.
        right: float[n], 1 where it is the right one.
        truth: float[n], probability of the right candidate; NaN where there is none.
        squares: float[n], squared distance of the probabilities to the truth, summed over the
            candidates; NaN where there is none.
    """

    said: Array
    right: Array
    truth: Array
    squares: Array


def is_scored(prediction: Prediction) -> bool:
    """Says whether an answer has probabilities and a known truth."""
    known = prediction.label is not None and prediction.choice is not None
    return known and prediction.probabilities is not None and prediction.error is None


def confidence_of(predictions: Sequence[Prediction]) -> Confidence:
    """Returns what calibration has to know of multiple-choice answers.

    Raises:
        PredictionsError: None of them has probabilities.
    """
    rows = np.full((len(predictions), 4), np.nan)
    for row, p in zip(rows, predictions, strict=True):
        if not is_scored(p):
            continue
        shares = np.asarray(p.probabilities, dtype=np.float64)
        away = shares - (np.arange(len(shares)) == p.label)
        row[:] = shares[p.choice or 0], is_right(p), shares[p.label or 0], float(away @ away)
    if np.isnan(rows[:, 0]).all():
        raise PredictionsError(
            f"none of {len(predictions)} multiple-choice answers has 'probabilities' and a 'label';"
            " calibration needs them"
        )
    return Confidence(*rows.T)


def bins_of(said: Array, bins: int | None = None) -> NDArray[np.int64]:
    """Returns int64[n]: the equal-mass bin of each confidence (equal ones share it); -1 for NaN.

    Args:
        said: float[n] confidences.
        bins: How many; None takes :data:`BINS`, fewer where a bin would hold fewer than
            :data:`PER_BIN`.
    """
    known = ~np.isnan(said)
    count = bins or int(np.clip(known.sum() // PER_BIN, 1, BINS))
    edges = np.quantile(said[known], np.linspace(0, 1, count + 1))
    which = np.searchsorted(edges[1:-1], said)
    present = np.unique(which[known])  # ties may leave a bin empty
    return np.where(known, np.searchsorted(present, which), -1)


def binned(confidence: Confidence, which: NDArray[np.int64]) -> sparse.csr_array:
    """Returns float[n, 3b]: confidence, right and 1 in the columns of each answer's bin."""
    count = int(which.max()) + 1
    items = np.flatnonzero(which >= 0)
    values = np.stack([confidence.said, confidence.right, np.ones_like(confidence.said)])[:, items]
    columns = np.arange(3)[:, None] * count + which[items]
    places = np.tile(items, (3, 1))
    table = (values.ravel(), (places.ravel(), columns.ravel()))
    return sparse.csr_array(table, shape=(len(which), 3 * count))


def calibration_error(sums: Array, *, debias: bool = True) -> Array:
    """Returns the mean distance of accuracy and confidence over bins.

    The accuracy of a bin is uncertain, so the plain distance is above 0 even for a perfectly
    calibrated model. Debiased (Kumar, Liang and Ma, NeurIPS 2019, for the absolute distance), the
    distance that noise adds is estimated by adding noise of the same size once more, in closed
    form: ``2 |d| - E |d + e|`` with ``e`` normal with the variance of the bin's accuracy.

    Args:
        sums: float[..., 3b] as :func:`binned` sums up: confidence, right, answers.
        debias: Take off what noise adds.

    Returns:
        float[...], at least 0.
    """
    said, right, size = np.split(np.asarray(sums, dtype=np.float64), 3, axis=-1)
    some = np.maximum(size, 1e-12)
    accuracy = right / some
    distance = np.abs(accuracy - said / some)
    if debias:
        spread = np.sqrt(np.clip(accuracy * (1 - accuracy), 0, None) / np.maximum(size - 1, 1))
        scale = np.maximum(spread, 1e-12)
        noisy = spread * math.sqrt(2 / math.pi) * np.exp(-(distance**2) / (2 * scale**2))
        noisy = noisy + distance * erf(distance / (scale * math.sqrt(2)))
        distance = 2 * distance - noisy
    return np.maximum((size * distance).sum(axis=-1) / some.sum(axis=-1), 0.0)


@metric("ece", task="choice", higher_is_better=False)
def ece(predictions: Sequence[Prediction]) -> Statistics:
    """Expected calibration error: mean |accuracy - confidence|, equal-mass bins, debiased."""
    confidence = confidence_of(predictions)
    rows = binned(confidence, bins_of(confidence.said))
    return Statistics(rows, calibration_error, fraction=False, centred=True)


@metric("overconfidence", task="choice", higher_is_better=False)
def overconfidence(predictions: Sequence[Prediction]) -> Statistics:
    """Mean confidence minus accuracy; below 0 the model is surer than it lets on."""
    confidence = confidence_of(predictions)
    return _mean_of_known(confidence.said - confidence.right)


@metric("brier", task="choice", higher_is_better=False, share=False)
def brier(predictions: Sequence[Prediction]) -> Statistics:
    """Brier score: mean squared distance to the truth, summed over candidates (0 to 2)."""
    return _mean_of_known(confidence_of(predictions).squares)


@metric("nll", task="choice", higher_is_better=False, share=False)
def nll(predictions: Sequence[Prediction]) -> Statistics:
    """Mean negative logarithm of the right candidate's probability, in nats."""
    return _mean_of_known(-np.log(np.maximum(confidence_of(predictions).truth, FLOOR)))


@metric("confidence_auroc", task="choice", share=False)
def confidence_auroc(predictions: Sequence[Prediction]) -> Statistics:
    """Chance that a right answer has more confidence than a wrong one (ties half); 0.5 is none."""
    rows = _by_confidence(confidence_of(predictions))

    def finish(sums: Array) -> Array:
        right, wrong = np.split(sums, 2, axis=-1)  # surest first
        above = np.cumsum(right, axis=-1) - right / 2
        pairs = right.sum(axis=-1) * wrong.sum(axis=-1)
        won = (above * wrong).sum(axis=-1)
        return np.where(pairs > 0, won / np.maximum(pairs, 1e-12), 0.5)

    return Statistics(rows, finish, fraction=False)


@metric("aurc", task="choice", higher_is_better=False, share=False)
def aurc(predictions: Sequence[Prediction]) -> Statistics:
    """Area under the risk-coverage curve: mean share of errors over all coverages."""
    rows = _by_confidence(confidence_of(predictions))

    def finish(sums: Array) -> Array:
        right, wrong = np.split(sums, 2, axis=-1)
        size = right + wrong
        risk = np.cumsum(wrong, axis=-1) / np.maximum(np.cumsum(size, axis=-1), 1e-12)
        return (risk * size).sum(axis=-1) / np.maximum(size.sum(axis=-1), 1e-12)

    return Statistics(rows, finish, fraction=False)


def best_aurc(errors: int, n: int) -> float:
    """Returns the area for an order that puts all errors last: no order of them has less."""
    kept = np.arange(1, n + 1)
    return float(np.mean(np.maximum(kept - (n - errors), 0) / kept))


def _by_confidence(confidence: Confidence) -> sparse.csr_array:
    """Returns float[n, 2u]: right and wrong in the columns of the u confidences, surest first.

    Answers of equal confidence share a column: no threshold tells them apart.
    """
    items = np.flatnonzero(~np.isnan(confidence.said))
    values, place = np.unique(-confidence.said[items], return_inverse=True)
    columns = place + np.where(confidence.right[items] > 0, 0, len(values))
    table = (np.ones(len(items)), (items, columns))
    return sparse.csr_array(table, shape=(len(confidence.said), 2 * len(values)))


def _mean_of_known(values: Array) -> Statistics:
    """Returns the statistics of the mean of float[n] values; NaN ones don't count."""
    known = ~np.isnan(values)
    rows = np.stack([np.where(known, values, 0.0), known.astype(np.float64)], axis=1)
    return Statistics(sparse.csr_array(rows), mean_of([0.0]).finish, fraction=False)
