"""Where a model is good and where not: by question type, speaker, group, facts, length of talk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtrans.core.records import Fact, Prediction, Score
from mtrans.measure.apply import main_metrics, measure, of_task
from mtrans.measure.intervals import RESAMPLES, Cluster

MAX_VALUES = 6
"""A numeric fact with more distinct values than this is cut into quantiles."""

QUANTILES = 4
"""Parts of such a fact, of about equal numbers of predictions."""

MAX_WORDS = 24
"""A key with more distinct words than this is not broken down: each part would be a few clips."""


def breakdown(
    predictions: Sequence[Prediction],
    *,
    metrics: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    cluster: Cluster = "video",
) -> list[Score]:
    """Scores every part of the predictions.

    Args:
        predictions: All of a run.
        metrics: Names; None takes accuracy for multiple choice, exact match and ROUGE-L for open
            answers.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.
        cluster: What is drawn as a whole.

    Returns:
        Scores whose `slice` has one entry: ``{"type": ...}``, ``{"speaker": ...}``,
        ``{"group": ...}``, ``{"facts.<name>": ...}`` or ``{"context_turns": ...}``.

    Raises:
        SettingsError: Unknown metric.
    """
    parts, _ = slices(of_task(predictions, "any"))
    names = main_metrics(predictions) if metrics is None else metrics
    out: list[Score] = []
    for key, members in parts.items():
        for value, part in members.items():
            out += measure(
                part,
                names,
                resamples=resamples,
                seed=seed,
                slice_={key: value},
                cluster=cluster,
            )
    return out


def slices(
    predictions: Sequence[Prediction],
) -> tuple[dict[str, dict[Fact, list[Prediction]]], list[str]]:
    """Cuts predictions by every key that has more than one value.

    Args:
        predictions: Those to cut.

    Returns:
        key -> value -> predictions, and a line for each key that was left out with the reason.
    """
    keys: dict[str, dict[int, Fact]] = {"type": {}, "speaker": {}, "group": {}}
    for i, p in enumerate(predictions):
        named = {"type": p.type, "speaker": p.speaker, "group": p.group}
        facts = {f"facts.{name}": value for name, value in p.facts.items()}
        for key, value in {**named, **facts}.items():
            if value is not None:
                keys.setdefault(key, {})[i] = value
    turns: dict[int, Fact] = {i: len(p.context) for i, p in enumerate(predictions) if p.context}
    if turns not in keys.values():  # a fact may tell the same
        keys["context_turns"] = turns
    parts: dict[str, dict[Fact, list[Prediction]]] = {}
    notes: list[str] = []
    for key, values in keys.items():
        distinct = set(values.values())
        if len(distinct) < 2:
            continue
        if all(is_number(v) for v in distinct):
            if len(distinct) > MAX_VALUES:
                values = quantiles(values)
        elif len(distinct) > MAX_WORDS:
            notes.append(f"no break-down by {key}: {len(distinct)} distinct values")
            continue
        order = sorted(set(values.values()), key=_order)
        if all(isinstance(v, _Bin) for v in order):
            order.sort(key=lambda v: v.low)  # type: ignore[union-attr]
        parts[key] = {
            str(value) if isinstance(value, _Bin) else value: [
                predictions[i] for i, v in values.items() if v == value
            ]
            for value in order
        }
    return parts, notes


class _Bin(str):
    """A bin's name that remembers where it starts, for sorting."""

    low: float


def quantiles(values: Mapping[int, Fact]) -> dict[int, Fact]:
    """Replaces numbers by the name of their quantile; equal numbers share one."""
    numbers = np.array([float(v) for v in values.values()])  # type: ignore[arg-type]
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, QUANTILES + 1)))
    which = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    names: dict[int, _Bin] = {}
    for b in np.unique(which):
        inside = numbers[which == b]
        low, high = _short(inside.min()), _short(inside.max())
        names[int(b)] = _Bin(low if low == high else f"{low} to {high}")
        names[int(b)].low = float(inside.min())
    return {i: names[int(b)] for i, b in zip(values, which, strict=True)}


def _short(number: float) -> str:
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:.0f}"


def is_number(value: Fact) -> bool:
    """Says whether a fact is a number, not a yes or no."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: Fact) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))
