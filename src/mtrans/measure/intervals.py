"""How sure a number is: percentile bootstrap over videos.

Questions about one video are not independent, so whole videos are drawn, with replacement. A
replicate weighs every video by how often it was drawn; a metric is a function of sums over items
(:class:`~mtrans.measure.metrics.Statistics`), so all replicates of all metrics are one product
``draws[G, R]^T @ sums[G, d]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import betaincinv

from mtrans.core.records import Prediction
from mtrans.measure.metrics import Array, Statistics

RESAMPLES = 2000
"""Bootstrap replicates: the ends of a 95 % interval then move by about a tenth of its width."""

LEVEL = 0.95
"""Share of the interval."""

_CELLS = 4_000_000  # numbers a block of replicates may hold: 32 MB


@dataclass(frozen=True)
class Interval:
    """An interval around a number.

    Attributes:
        low: Lower end.
        high: Upper end.
        standard_error: Standard deviation of the replicates.
    """

    low: float
    high: float
    standard_error: float


Cluster = Literal["video", "group", "speaker"]
"""What is drawn as a whole: predictions that are not independent of each other."""


def clusters_of(predictions: Sequence[Prediction], by: Cluster = "video") -> NDArray[np.int64]:
    """Returns int64[n]: which video (or group, speaker) each prediction belongs to, from 0.

    A prediction without group or speaker is drawn with its video, one without a video alone.
    """
    numbers: dict[tuple[str, str], int] = {}
    keys = [_key(p, by) for p in predictions]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _key(prediction: Prediction, by: Cluster) -> tuple[str, str]:
    for name in (by, "video"):
        if value := getattr(prediction, name):
            return name, value
    return "id", prediction.id


def replicates(
    statistics: Sequence[Statistics],
    clusters: NDArray[np.int64],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Array]:
    """Draws videos with replacement and computes every metric on the same draws.

    Args:
        statistics: Metrics of the same n items.
        clusters: int64[n], numbered from 0 without gaps.
        resamples: Replicates.
        seed: Seed of the draws.

    Returns:
        For each metric float[resamples].
    """
    n, groups = len(clusters), int(clusters.max()) + 1
    member = sparse.csr_array((np.ones(n), (clusters, np.arange(n))), shape=(groups, n))
    sums = [(member @ s.rows).T.tocsr() for s in statistics]  # each [d, G]
    widest = max(groups, *(s.shape[0] for s in sums))
    block = max(1, min(resamples, _CELLS // widest))
    rng = np.random.default_rng(seed)
    out: list[list[Array]] = [[] for _ in statistics]
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        draws = rng.integers(0, groups, size=(size, groups))
        draws += np.arange(size)[:, None] * groups
        weights = np.bincount(draws.ravel(), minlength=size * groups).reshape(size, groups)
        weights = np.ascontiguousarray(weights.T, dtype=np.float64)
        for values, total, s in zip(out, sums, statistics, strict=True):
            values.append(np.asarray(s.finish((total @ weights).T)))
    return [np.concatenate(values) for values in out]


def bootstrap(
    statistics: Sequence[Statistics],
    clusters: NDArray[np.int64],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Interval | None]:
    """Returns a clustered percentile interval and standard error for each metric.

    Where every video scores alike (all 0, all 1, or half of each one's questions right), all
    replicates are alike and the percentile interval would have no width; it is then the exact
    binomial (Clopper-Pearson) interval with videos as trials. Videos none of whose items count for
    the metric (whose rows are all 0) are no trials.

    Args:
        statistics: Metrics of the same n items.
        clusters: int64[n] from :func:`clusters_of`.
        resamples: Replicates.
        level: Share of the interval.
        seed: Seed of the draws.

    Returns:
        One interval for each metric; None for all where there is only one video.
    """
    groups = int(clusters.max()) + 1
    if groups < 2:
        return [None] * len(statistics)
    drawn = replicates(statistics, clusters, resamples=resamples, seed=seed)
    return [
        interval_of(
            centred(values, s.value()) if s.centred else values,
            level,
            point=s.value() if s.fraction else None,
            groups=len(np.unique(clusters[np.diff(s.rows.indptr) > 0])),
        )
        for values, s in zip(drawn, statistics, strict=True)
    ]


def centred(values: Array, point: float) -> Array:
    """Moves replicates float[R] so that their mean is the metric; none below 0.

    A distance that noise adds to is larger in a replicate than in the data, by about what it is
    larger in the data than in truth.
    """
    return np.maximum(values - (values.mean() - point), 0.0)


def interval_of(
    values: Array, level: float = LEVEL, *, point: float | None = None, groups: int | None = None
) -> Interval:
    """Returns the percentile interval of replicates float[R].

    Args:
        values: The replicates; NaN ones, which drew nothing that counts, are left out.
        level: Share of the interval.
        point: The metric itself where it is a fraction, for replicates that are all alike (see
            :func:`bootstrap`).
        groups: Videos that count, for the same.
    """
    tail = (1 - level) / 2
    values = values[~np.isnan(values)]
    low, high = (float(v) for v in np.quantile(values, [tail, 1 - tail]))
    if point is not None and low == high and groups is not None:
        low, high = binomial(point * groups, groups, level)
    return Interval(low, high, float(np.std(values, ddof=1)))


def binomial(hits: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Returns the exact (Clopper-Pearson) interval of a share.

    Args:
        hits: How many of `n`; a fraction where trials can be right in part.
        n: Trials.
        level: Share of the interval.
    """
    tail = (1 - level) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high
