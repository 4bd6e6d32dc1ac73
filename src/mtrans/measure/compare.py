"""Paired comparison of two sets of predictions on the same samples.

Two runs see the same clips, so the interval of their *difference* is drawn on the same videos for
both; it is narrower than their two intervals suggest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from mtrans.core.records import Prediction
from mtrans.measure.apply import default_metrics, of_task
from mtrans.measure.intervals import (
    LEVEL,
    RESAMPLES,
    Cluster,
    clusters_of,
    interval_of,
    replicates,
)
from mtrans.measure.metrics import METRICS, truth
from mtrans.measure.predictions import PredictionsError, read_predictions

_PAIRED_TESTS = ("accuracy", "exact_match")


@dataclass(frozen=True)
class Comparison:
    """How another run differs from a reference on one metric.

    Attributes:
        metric: The metric's name.
        reference: Its value for the reference.
        other: Its value for the other run.
        difference: ``other - reference``.
        low: Lower end of the difference's interval; None with a single video.
        high: Upper end.
        standard_error: Standard error of the difference.
        p: Exact McNemar p value (two-sided), for metrics that are right or wrong per item; it
            takes items as independent, so trust the interval where videos have several questions.
        only_reference: Items that only the reference has right.
        only_other: Items that only the other run has right.
        n: Paired predictions.
        clusters: Videos.
    """

    metric: str
    reference: float
    other: float
    difference: float
    low: float | None
    high: float | None
    standard_error: float | None
    p: float | None
    only_reference: int | None
    only_other: int | None
    n: int
    clusters: int

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as a dictionary."""
        return asdict(self)


def compare(
    reference: str | Path | Sequence[Prediction],
    other: str | Path | Sequence[Prediction],
    *,
    metrics: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    cluster: Cluster = "video",
) -> list[Comparison]:
    """Compares two runs on the same samples.

    Args:
        reference: Predictions or their file.
        other: Predictions or their file.
        metrics: Names; None takes those that fit the task.
        resamples: Bootstrap replicates.
        level: Share of the interval.
        seed: Seed of the draws.
        cluster: What is drawn as a whole.

    Returns:
        One comparison for each metric.

    Raises:
        PredictionsError: The two don't hold the same samples, one has candidates where the other
            has none, or no sample has a known answer.
        SettingsError: Unknown metric.
    """
    first, second = _match(reference, other)
    out = []
    for name in default_metrics(first) if metrics is None else metrics:
        metric = METRICS.get(name)
        a, b = of_task(first, metric.task), of_task(second, metric.task)
        if not a:
            raise PredictionsError(
                f"metric '{name}' needs {metric.task} questions with known answers, found none"
            )
        statistics = [metric.statistics(a), metric.statistics(b)]
        values = [s.value() for s in statistics]
        clusters = clusters_of(_whose_groups(a, b, cluster), cluster)
        groups = int(clusters.max()) + 1
        interval = None
        if groups > 1:
            drawn = replicates(statistics, clusters, resamples=resamples, seed=seed)
            interval = interval_of(drawn[1] - drawn[0], level)
        p = only_first = only_second = None
        if name in _PAIRED_TESTS:
            right = [s.rows.toarray()[:, 0] > 0.5 for s in statistics]
            only_first = int(np.sum(right[0] & ~right[1]))
            only_second = int(np.sum(right[1] & ~right[0]))
            p = mcnemar(only_first, only_second)
        out.append(
            Comparison(
                metric=name,
                reference=values[0],
                other=values[1],
                difference=values[1] - values[0],
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                standard_error=interval.standard_error if interval else None,
                p=p,
                only_reference=only_first,
                only_other=only_second,
                n=len(a),
                clusters=groups,
            )
        )
    return out


def mcnemar(only_first: int, only_second: int) -> float:
    """Returns the exact two-sided McNemar p value (a binomial test on the items that differ)."""
    differ = only_first + only_second
    return 1.0 if differ == 0 else float(binomtest(only_first, differ, 0.5).pvalue)


def _match(
    reference: str | Path | Sequence[Prediction], other: str | Path | Sequence[Prediction]
) -> tuple[list[Prediction], list[Prediction]]:
    """Brings both into the reference's order.

    Raises:
        PredictionsError: Ids, right answers or kinds of question differ.
    """
    first, name = _load(reference, "the reference")
    second, other_name = _load(other, "the other run")
    index = {p.id: p for p in second}
    known = {p.id for p in first}
    missing = [p.id for p in first if p.id not in index]
    extra = [p.id for p in second if p.id not in known]
    if missing or extra:
        parts = []
        if missing:
            parts.append(
                f"{len(missing)} ids of {name} are not in {other_name}, first '{missing[0]}'"
            )
        if extra:
            parts.append(f"{len(extra)} ids of {other_name} are not in {name}, first '{extra[0]}'")
        raise PredictionsError(
            f"{'; '.join(parts)}: a paired comparison needs the same samples;"
            " evaluate both runs on the same manifest"
        )
    matched = [index[p.id] for p in first]
    changed = [p.id for p, q in zip(first, matched, strict=True) if truth(p) != truth(q)]
    if changed:
        raise PredictionsError(
            f"{len(changed)} samples have another right answer in {other_name} than in {name},"
            f" first '{changed[0]}': evaluate both runs on the same manifest"
        )
    other_kind = [
        p.id
        for p, q in zip(first, matched, strict=True)
        if truth(p) is not None and (p.choices is None) != (q.choices is None)
    ]
    if other_kind:
        raise PredictionsError(
            f"{len(other_kind)} samples have candidates in one of {name} and {other_name} and none"
            f" in the other, first '{other_kind[0]}': ask both runs alike"
        )
    others = [
        p.id
        for p, q in zip(first, matched, strict=True)
        if truth(p) is not None and set(p.choices or ()) != set(q.choices or ())
    ]
    if others:
        raise PredictionsError(
            f"{len(others)} samples have other candidates in {other_name} than in {name}, first"
            f" '{others[0]}': evaluate both runs on the same manifest"
        )
    return first, matched


def _load(source: str | Path | Sequence[Prediction], name: str) -> tuple[list[Prediction], str]:
    if isinstance(source, str | Path):
        return read_predictions(source), f"'{source}'"
    return list(source), name


def _whose_groups(
    a: Sequence[Prediction], b: Sequence[Prediction], cluster: Cluster
) -> Sequence[Prediction]:
    """Returns the side that tells more of which questions belong together.

    Answers imported from elsewhere may not know their videos.
    """

    def known(side: Sequence[Prediction]) -> int:
        return sum(bool(getattr(p, cluster) or p.video) for p in side)

    return b if known(b) > known(a) else a
