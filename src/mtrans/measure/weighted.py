"""Precision, recall and F1 weighted by how often a class is the truth, as sarcasm papers report.

Equal to scikit-learn's ``precision_recall_fscore_support(average="weighted", zero_division=0)``
over answer texts. Weighted recall is the accuracy; papers print both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mtrans.core.records import Prediction
from mtrans.measure.metrics import Array, Statistics, class_counts, metric

_Share = Callable[[Array, Array, Array], tuple[Array, Array]]
"""(hits, support, predicted) of each class -> numerator and denominator of its score."""


def _weighted(predictions: Sequence[Prediction], share: _Share) -> Statistics:
    counts, classes = class_counts(predictions)

    def finish(sums: Array) -> Array:
        support, predicted = sums[..., :classes], sums[..., classes : 2 * classes]
        above, below = share(sums[..., 2 * classes :], support, predicted)
        score = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        return np.asarray((support * score).sum(axis=-1) / support.sum(axis=-1))

    return Statistics(counts, finish)


@metric("weighted_precision", task="choice")
def weighted_precision(predictions: Sequence[Prediction]) -> Statistics:
    """Mean over answer texts, weighted by their share of the truth, of right among said."""
    return _weighted(predictions, lambda hits, support, predicted: (hits, predicted))


@metric("weighted_recall", task="choice")
def weighted_recall(predictions: Sequence[Prediction]) -> Statistics:
    """The same of said among right, which is the accuracy."""
    return _weighted(predictions, lambda hits, support, predicted: (hits, support))


@metric("weighted_f1", task="choice")
def weighted_f1(predictions: Sequence[Prediction]) -> Statistics:
    """The same of F1 (as sklearn, f1_score weighted)."""
    return _weighted(predictions, lambda hits, support, predicted: (2 * hits, support + predicted))
