"""Metrics: predictions -> sums -> a number, each metric one decorated function.

::

    predictions --metric--> Statistics: rows float[n, d], one row an item
                            sum over items: float[d] --finish--> the metric

Writing every metric as a function of *sums over items* is what makes resampling cheap: a bootstrap
replicate is a weighted sum of the same rows (`mtrans.measure.intervals`). A mean needs two sums
(values, items); an F1 needs three for every class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mtrans.core.records import Fact, Prediction
from mtrans.core.registry import Registry

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """What a metric has to know of each item.

    Attributes:
        rows: float[n, d], sparse; a metric depends on the items only through their column sums.
        finish: float[..., d] sums -> float[...] metric.
        fraction: Whether the metric is a share of the items, with 0 and 1 as its ends.
        centred: Whether noise adds to the metric (a distance, the largest of several gaps), as
            drawing anew does once more; the replicates are then moved back onto the metric.
    """

    rows: sparse.csr_array
    finish: Callable[[Array], Array]
    fraction: bool = True
    centred: bool = False

    def value(self) -> float:
        """Returns the metric over all items."""
        return float(self.finish(np.asarray(self.rows.sum(axis=0), dtype=np.float64)))


@dataclass(frozen=True)
class Metric:
    """A named metric.

    Attributes:
        name: Its name in ``scores.json``.
        task: ``choice`` needs candidates, ``open`` a free answer, ``any`` takes both.
        statistics: Predictions with a known answer -> :class:`Statistics`.
        about: One line on how it is computed, kept beside its numbers.
        chance: Its value under uniform guessing among the candidates; None where undefined.
        higher_is_better: False for counts of failures.
        share: Whether it is shown in percent; otherwise in its own unit (`mtrans.measure.units`).
    """

    name: str
    task: str
    statistics: Callable[[Sequence[Prediction]], Statistics]
    about: str
    chance: Callable[[Sequence[Prediction]], float] | None = None
    higher_is_better: bool = True
    share: bool = True


METRICS: Registry[Metric] = Registry("metric")


def metric(
    name: str,
    *,
    task: str,
    about: str | None = None,
    chance: Callable[[Sequence[Prediction]], float] | None = None,
    higher_is_better: bool = True,
    share: bool = True,
) -> Callable[
    [Callable[[Sequence[Prediction]], Statistics]], Callable[[Sequence[Prediction]], Statistics]
]:
    """Registers the decorated function as a metric; its docstring's first line is `about`."""

    def decorate(
        function: Callable[[Sequence[Prediction]], Statistics],
    ) -> Callable[[Sequence[Prediction]], Statistics]:
        line = about or (function.__doc__ or "").strip().splitlines()[0]
        METRICS.add(name, Metric(name, task, function, line, chance, higher_is_better, share))
        return function

    return decorate


def truth(prediction: Prediction) -> str | None:
    """Returns the right answer's text, None where it is not known."""
    if prediction.choices is not None and prediction.label is not None:
        return prediction.choices[prediction.label]
    return prediction.target


def said(prediction: Prediction) -> str | None:
    """Returns what counts as the model's answer; None for a failed parse or an unread clip."""
    if prediction.error is not None or prediction.parse == "failed":
        return None
    if prediction.choices is None:
        return prediction.answer
    return None if prediction.choice is None else prediction.choices[prediction.choice]


def is_right(prediction: Prediction) -> bool:
    """Returns whether a multiple-choice answer is the right one."""
    answer = said(prediction)
    return answer is not None and answer == truth(prediction)


def mean_of(values: Sequence[float] | Array, *, fraction: bool = True) -> Statistics:
    """Returns the statistics of a plain mean of float[n] values."""
    column = np.asarray(values, dtype=np.float64)
    rows = sparse.csr_array(np.stack([column, np.ones_like(column)], axis=1))
    return Statistics(rows, lambda sums: share(sums[..., 0], sums[..., 1]), fraction)


def share(part: Array, whole: Array) -> Array:
    """Returns part / whole, float[...]; NaN where nothing counts."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def chance_of_choice(predictions: Sequence[Prediction]) -> float:
    """Returns the expected accuracy of uniform guessing: the mean of 1 / number of candidates."""
    return float(np.mean([1 / len(p.choices or "x") for p in predictions]))


def chance_of_balanced(predictions: Sequence[Prediction]) -> float:
    """Returns the expected balanced accuracy of uniform guessing: mean over classes of 1 / c."""
    shares: dict[str, list[float]] = {}
    for p in predictions:
        shares.setdefault(str(truth(p)), []).append(1 / len(p.choices or "x"))
    return float(np.mean([np.mean(s) for s in shares.values()]))


@metric("accuracy", task="choice", chance=chance_of_choice)
def accuracy(predictions: Sequence[Prediction]) -> Statistics:
    """Share of right answers; a failed parse counts as wrong."""
    return mean_of([float(is_right(p)) for p in predictions])


@metric("balanced_accuracy", task="choice", chance=chance_of_balanced)
def balanced_accuracy(predictions: Sequence[Prediction]) -> Statistics:
    """Mean over answer texts of the share of right answers among samples with that answer."""
    counts, classes = class_counts(predictions)

    def finish(sums: Array) -> Array:
        support, hits = sums[..., :classes], sums[..., 2 * classes :]
        present = support > 0
        recall = np.divide(hits, support, out=np.zeros_like(hits), where=present)
        return recall.sum(axis=-1) / present.sum(axis=-1)

    return Statistics(counts, finish)


@metric("macro_f1", task="choice")
def macro_f1(predictions: Sequence[Prediction]) -> Statistics:
    """Mean F1 over answer texts that occur as answer or truth (as sklearn, f1_score macro)."""
    counts, classes = class_counts(predictions)

    def finish(sums: Array) -> Array:
        support, predicted = sums[..., :classes], sums[..., classes : 2 * classes]
        hits, total = sums[..., 2 * classes :], support + predicted
        present = total > 0
        f1 = np.divide(2 * hits, total, out=np.zeros_like(hits), where=present)
        return f1.sum(axis=-1) / present.sum(axis=-1)

    return Statistics(counts, finish)


def chance_of_questions(predictions: Sequence[Prediction]) -> float:
    """Returns the expected value of `question_accuracy`: all options of a question guessed."""
    chances: dict[tuple[str | None, Fact], float] = {}
    for key, p in zip(_questions(predictions), predictions, strict=True):
        chances[key] = chances.get(key, 1.0) / len(p.choices or "x")
    return float(np.mean(list(chances.values())))


@metric("question_accuracy", task="choice", chance=chance_of_questions)
def question_accuracy(predictions: Sequence[Prediction]) -> Statistics:
    """Share of questions with all options (same video and fact question_id) judged right."""
    keys = _questions(predictions)
    options = Counter(keys)
    wrong = {key for key, p in zip(keys, predictions, strict=True) if not is_right(p)}
    # an option carries its share of the question, so that sums over options count questions
    share = np.array([1 / options[key] for key in keys])
    hits = share * np.array([key not in wrong for key in keys])
    rows = sparse.csr_array(np.stack([hits, share], axis=1))
    return Statistics(rows, lambda sums: sums[..., 0] / sums[..., 1])


def _questions(predictions: Sequence[Prediction]) -> list[tuple[str | None, Fact]]:
    """Returns what question each option belongs to; without the fact, one of its own."""
    return [
        (p.video, p.facts["question_id"]) if "question_id" in p.facts else (p.id, None)
        for p in predictions
    ]


@metric("parse_failures", task="any", higher_is_better=False)
def parse_failures(predictions: Sequence[Prediction]) -> Statistics:
    """Share of answers that match no candidate; a clip that can't be read gave none to match."""
    return mean_of([float(p.parse == "failed" and p.error is None) for p in predictions])


def class_counts(predictions: Sequence[Prediction]) -> tuple[sparse.csr_array, int]:
    """Returns float[n, 3k]: truth, answer and hit of each of the k answer texts, one-hot.

    Classes are answer *texts*, so that samples with different candidates can share them. A failed
    parse is no class of its own: it only misses a hit.
    """
    names = sorted({t for p in predictions for t in (truth(p), said(p)) if t is not None})
    index = {name: i for i, name in enumerate(names)}
    k = len(names)
    items: list[int] = []
    columns: list[int] = []
    for i, p in enumerate(predictions):
        wanted, got = truth(p), said(p)
        hot = [index[wanted]] if wanted is not None else []
        hot += [k + index[got]] if got is not None else []
        hot += [2 * k + index[got]] if got is not None and got == wanted else []
        items += [i] * len(hot)
        columns += hot
    rows = sparse.csr_array(
        (np.ones(len(items)), (items, columns)), shape=(len(predictions), 3 * k)
    )
    return rows, k


def confusion(predictions: Sequence[Prediction]) -> tuple[list[str], NDArray[np.int64]]:
    """Counts answers against truths of multiple-choice predictions.

    Args:
        predictions: Those with a known answer are counted.

    Returns:
        The k answer texts, and int64[k, k + 1]: truth by answer; the last column counts failures.
    """
    known = [p for p in predictions if p.choices is not None and truth(p) is not None]
    pairs = Counter((truth(p), said(p)) for p in known)
    names = sorted({t for pair in pairs for t in pair if t is not None})
    index: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    index[None] = len(names)
    table = np.zeros((len(names), len(names) + 1), dtype=np.int64)
    for (wanted, got), count in pairs.items():
        table[index[wanted], index[got]] += count
    return names, table
