"""The largest difference between groups: of accuracy, and of the odds of each answer.

The largest of several differences is above 0 by noise alone, and the more groups the more. So each
comes with a permutation test: groups are dealt to the videos at random, which keeps all answers and
all group sizes, and the share of deals with a gap at least as large is its p value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mtrans.core.records import Prediction
from mtrans.measure.intervals import RESAMPLES, bootstrap, clusters_of
from mtrans.measure.metrics import Array, Statistics, is_right, said, truth

FEWEST = 10
"""Questions below which a group (for the odds: a group's questions with one right answer) is left
out."""

DEALS = 1000
"""Permutations: the smallest p value is about a thousandth."""

_Measure = Callable[[Array], Array]


class Gap(NamedTuple):
    """A largest difference.

    Attributes:
        value: The difference.
        low: Lower end of its interval; None with a single video.
        high: Upper end.
        p: Share of random deals of the groups with at least this gap.
        groups: Groups that were large enough.
        where: The right answer and the answer given at which the odds differ most; None for
            accuracy.
        type: The question type of the odds.
    """

    value: float
    low: float | None
    high: float | None
    p: float
    groups: int
    where: tuple[str, str] | None = None
    type: str | None = None


def accuracy_gap(
    predictions: Sequence[Prediction],
    groups: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Gap | None:
    """Returns the accuracy of the best group minus that of the worst.

    Args:
        predictions: Multiple-choice answers with a known truth.
        groups: n names.
        resamples: Bootstrap replicates.
        seed: Seed of draws and deals.

    Returns:
        The gap; None where fewer than two groups are large enough.
    """
    outcomes = np.array([int(is_right(p)) for p in predictions], dtype=np.int64)
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    enough = np.bincount(numbers) >= FEWEST
    if enough.sum() < 2:
        return None

    def spread(counts: Array) -> Array:  # float[..., g, 2]
        size = counts.sum(axis=-1)
        accuracy = counts[..., 1] / np.maximum(size, 1e-12)
        # a group of one video may be in no draw; it then has no accuracy, rather than none right
        return _reach(np.where(enough & (size > 0), accuracy, np.nan))

    return _gap(predictions, numbers, outcomes, (len(enough), 2), spread, resamples, seed)


def odds_gap(
    predictions: Sequence[Prediction],
    groups: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Gap | None:
    """Returns the equalised-odds difference, of the question type where it is largest.

    Over all right answers and answers given, the largest difference between groups of the share
    of questions with that right answer that get that answer; with two answers this is the larger
    of the differences of true and false positive rate (Hardt, Price and Srebro, NeurIPS 2016).

    Args:
        predictions: Multiple-choice answers with a known truth.
        groups: n names.
        resamples: Bootstrap replicates.
        seed: Seed of draws and deals.

    Returns:
        The gap; None where no type has two groups large enough. Its p value is multiplied by the
        number of types that were looked at (Bonferroni).
    """
    types: dict[str | None, list[int]] = {}
    for i, p in enumerate(predictions):
        types.setdefault(p.type, []).append(i)
    found = []
    for name, places in types.items():
        part, mine = [predictions[i] for i in places], [groups[i] for i in places]
        gap = _odds_of_type(part, mine, resamples, seed)
        if gap is not None:
            found.append(gap._replace(type=name))
    if not found:
        return None
    worst = min(found, key=lambda gap: (gap.p, -gap.value))
    return worst._replace(p=min(1.0, worst.p * len(found)))


def _odds_of_type(
    predictions: Sequence[Prediction], groups: Sequence[str], resamples: int, seed: int
) -> Gap | None:
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    truths, wanted = np.unique([str(truth(p)) for p in predictions], return_inverse=True)
    sizes = _counts(numbers, wanted, (int(numbers.max()) + 1, len(truths)))
    compared = (sizes >= FEWEST).sum(axis=0) >= 2
    if not compared.any():
        return None
    # right answers that no two groups share are left out: where each question has candidates of
    # its own they are as many as there are questions, and a table of them is as large as squared
    keep = np.flatnonzero(compared[wanted]).tolist()
    predictions, numbers = [predictions[i] for i in keep], numbers[keep]
    truths, wanted = np.unique(truths[wanted[keep]], return_inverse=True)
    answers, given = np.unique([said(p) or "" for p in predictions], return_inverse=True)
    table_of = (len(truths), len(answers))
    outcomes = wanted * len(answers) + given
    shape = (len(sizes), len(truths) * len(answers))
    counts = _counts(numbers, outcomes, shape)
    enough = counts.reshape(len(sizes), *table_of).sum(axis=-1) >= FEWEST  # bool[g, y]

    def rates(counts: Array) -> Array:  # float[..., g, y, c]
        table = counts.reshape(*counts.shape[:-1], *table_of)
        size = table.sum(axis=-1, keepdims=True)
        known = enough[..., None] & (size > 0)
        return np.where(known, table / np.maximum(size, 1e-12), np.nan)

    def spread(counts: Array) -> Array:
        return _reach(np.moveaxis(rates(counts), -3, -1)).max(axis=(-2, -1))

    reach = _reach(np.moveaxis(rates(counts), -3, -1))  # [y, c]
    y, c = np.unravel_index(int(reach.argmax()), reach.shape)
    gap = _gap(predictions, numbers, outcomes, shape, spread, resamples, seed)
    where = (str(truths[y]), str(answers[c]) or "no answer")
    return gap._replace(where=where, groups=int(enough.any(1).sum()))


def _reach(values: Array) -> Array:
    """Returns max - min over the last axis, NaN left out; 0 where there are not two."""
    low = np.where(np.isnan(values), np.inf, values).min(axis=-1)
    high = np.where(np.isnan(values), -np.inf, values).max(axis=-1)
    return np.where(high >= low, high - low, 0.0)


def _counts(
    groups: NDArray[np.int64], outcomes: NDArray[np.int64], shape: tuple[int, int]
) -> Array:
    cells = groups * shape[1] + outcomes
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)


def _gap(
    predictions: Sequence[Prediction],
    groups: NDArray[np.int64],
    outcomes: NDArray[np.int64],
    shape: tuple[int, int],
    spread: _Measure,
    resamples: int,
    seed: int,
) -> Gap:
    """Measures a gap that depends on the counts float[g, outcomes], with interval and p value."""
    n = len(groups)
    cells = groups * shape[1] + outcomes
    table = (np.ones(n), (np.arange(n), cells))
    rows = sparse.csr_array(table, shape=(n, shape[0] * shape[1]))
    statistics = Statistics(
        rows, lambda sums: spread(sums.reshape(*sums.shape[:-1], *shape)), False, centred=True
    )
    videos = clusters_of(predictions)
    (interval,) = bootstrap([statistics], videos, resamples=resamples, seed=seed)
    value = statistics.value()
    rng = np.random.default_rng(seed)
    deal = _dealer(groups, videos)
    drawn = [float(spread(_counts(deal(rng), outcomes, shape))) for _ in range(DEALS)]
    p = (1 + sum(d >= value - 1e-12 for d in drawn)) / (1 + DEALS)
    return Gap(
        value=value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        p=p,
        groups=int((np.bincount(groups) >= FEWEST).sum()),
    )


def _dealer(
    groups: NDArray[np.int64], videos: NDArray[np.int64]
) -> Callable[[np.random.Generator], NDArray[np.int64]]:
    """Returns what deals the groups anew: to videos where each has one group.

    Where a video has several, videos with as many questions exchange theirs, all at once: answers
    about one video are alike, and dealt one by one their groups would seem to differ too little by
    chance. A video that is alone with its number of questions deals among these.
    """
    _, first, sizes = np.unique(videos, return_index=True, return_counts=True)
    of_video = groups[first]
    if np.array_equal(of_video[videos], groups):
        return lambda rng: rng.permutation(of_video)[videos]
    questions = np.split(np.argsort(videos, kind="stable"), np.cumsum(sizes)[:-1])
    alike = [np.stack([q for q in questions if len(q) == n]) for n in np.unique(sizes)]

    def deal(rng: np.random.Generator) -> NDArray[np.int64]:
        dealt = groups.copy()
        for rows in alike:  # int[videos, questions]
            there = groups[rows]
            dealt[rows] = rng.permutation(there, axis=int(len(rows) == 1))
        return dealt

    return deal
