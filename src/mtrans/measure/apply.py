"""Predictions and names of metrics -> scores with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtrans.core.records import Fact, Prediction, Score
from mtrans.measure import (  # noqa: F401  registers metrics
    calibration,
    captions,
    retrieval,
    text_metrics,
    weighted,
)
from mtrans.measure.intervals import RESAMPLES, Cluster, bootstrap, clusters_of
from mtrans.measure.metrics import METRICS, truth


def measure(
    predictions: Sequence[Prediction],
    metrics: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    slice_: Mapping[str, Fact] | None = None,
    cluster: Cluster = "video",
) -> list[Score]:
    """Computes metrics with intervals; one that fits none of the predictions is left out.

    Args:
        predictions: Those without a known right answer are left out.
        metrics: Names.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.
        slice_: What the predictions are a part of.
        cluster: What is drawn as a whole.

    Returns:
        One score for each metric, in the order of `metrics`.

    Raises:
        SettingsError: Unknown metric.
    """
    chosen = [METRICS.get(name) for name in metrics]
    found: dict[str, Score] = {}
    for task in dict.fromkeys(m.task for m in chosen):
        part = of_task(predictions, task)
        if not part:
            continue
        here = [m for m in chosen if m.task == task]
        statistics = [m.statistics(part) for m in here]
        clusters = clusters_of(part, cluster)
        intervals = bootstrap(statistics, clusters, resamples=resamples, seed=seed)
        for m, s, interval in zip(here, statistics, intervals, strict=True):
            found[m.name] = Score(
                metric=m.name,
                value=s.value(),
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                standard_error=interval.standard_error if interval else None,
                n=len(part),
                clusters=int(clusters.max()) + 1,
                slice=dict(slice_ or {}),
                chance=m.chance(part) if m.chance else None,
            )
    return [found[m.name] for m in chosen if m.name in found]


def default_metrics(predictions: Sequence[Prediction]) -> list[str]:
    """Returns the metrics that fit the questions, the most telling first."""
    names: list[str] = []
    if chosen := of_task(predictions, "choice"):
        names += ["accuracy", "balanced_accuracy", "macro_f1"]
        names += ["question_accuracy"] if any("question_id" in p.facts for p in chosen) else []
    if of_task(predictions, "open"):
        meteor = "meteor" if text_metrics.has_wordnet() else "meteor_no_wordnet"
        names += ["exact_match", "rouge_1", "rouge_2", "rouge_l", meteor]
    return [*names, "parse_failures"]


def main_metrics(predictions: Sequence[Prediction]) -> list[str]:
    """Returns the few metrics that break-downs show."""
    wanted = ("accuracy", "exact_match", "rouge_l")
    return [name for name in default_metrics(predictions) if name in wanted]


def of_task(predictions: Sequence[Prediction], task: str) -> list[Prediction]:
    """Returns the predictions with a known answer that a metric's task takes."""
    known = [p for p in predictions if truth(p) is not None]
    if task == "any":
        return known
    return [p for p in known if (p.choices is not None) == (task == "choice")]
