"""What a report says: a run -> plain values for the template. Every part may turn out empty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mtrans.core.errors import MTransError
from mtrans.core.records import Prediction, Score
from mtrans.core.settings import PRESETS, RunSettings, flatten, load_settings, settings_to_dict
from mtrans.measure.apply import main_metrics
from mtrans.measure.compare import Comparison, compare
from mtrans.measure.metrics import METRICS, confusion, is_right, said, truth
from mtrans.report.frames import clip_strip
from mtrans.report.plots import Series, line_chart
from mtrans.report.read import Run

MAX_CLASSES = 12
"""A confusion matrix with more answers than this can't be read."""

CLIPS = 4
"""Best and worst clips shown, each."""


def breakdowns(run: Run) -> list[dict[str, Any]]:
    """Returns one table for each key of the break-down: rows of scores by value."""
    names = main_metrics(run.predictions)
    tables: dict[str, dict[Any, dict[str, Score]]] = {}
    for s in run.scores:
        if s.slice and s.metric in names:
            ((key, value),) = s.slice.items()
            tables.setdefault(key, {}).setdefault(value, {})[s.metric] = s
    return [
        {"key": key, "metrics": names, "rows": [{"value": v, "scores": s} for v, s in rows.items()]}
        for key, rows in tables.items()
        if len(rows) > 1  # a single part is the whole
    ]


def curves(run: Run) -> list[dict[str, Any]]:
    """Returns the learning curves: loss, validation, learning rate, then what else is logged."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    for record in run.log:
        for key, value in _numbers(record):
            xs, ys = series.setdefault(key, ([], []))
            xs.append(record["step"])
            ys.append(value)

    def chart(title: str, keys: Sequence[str], mark: str = "", percent: bool = False) -> None:
        lines = [Series(k, *series.pop(k), mark=mark if k.startswith("val") else "") for k in keys]
        svg = line_chart(lines, title=title, percent=percent)
        if svg:
            out.append({"title": title, "svg": svg, "names": [s.name for s in lines]})

    out: list[dict[str, Any]] = []
    clock = ("per_second", "_runtime", "seconds", "epoch")  # of the machine, not of learning
    for key in [k for k in series if k.endswith(clock)]:
        series.pop(key)
    chart("Loss", [k for k in ("loss", "val_loss") if k in series], "min")
    val = [k for k in series if k.startswith("val")]
    fractions = [k for k in val if all(0 <= y <= 1 for y in series[k][1])]
    chart("Validation", fractions[:6], "max", percent=True)
    chart("Validation, other", [k for k in val if k in series][:6])
    chart("Learning rate", [k for k in series if "learning_rate" in k][:6])
    for prefix in dict.fromkeys(k.partition(" ")[0] for k in series):
        chart(prefix.replace("_", " "), [k for k in series if k.partition(" ")[0] == prefix][:6])
    return out


def _numbers(record: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Flattens a log line; a list is one series a layer (``gate 1``, ``gate 2``, ...)."""
    out: list[tuple[str, float]] = []
    for key, value in record.items():
        if key in ("step", "epoch") or isinstance(value, bool):
            continue
        if isinstance(value, int | float) and math.isfinite(value):
            out.append((key, float(value)))
        elif isinstance(value, list):
            out += [(f"{key} {i}", float(v)) for i, v in enumerate(value, 1) if _is_number(v)]
        elif isinstance(value, Mapping):
            out += [(f"{key}_{k}", float(v)) for k, v in value.items() if _is_number(v)]
    return out


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def confusions(run: Run) -> list[dict[str, Any]]:
    """Returns confusion matrices: one over all answers where few enough, else one a type."""
    choice = [p for p in run.predictions if p.choices is not None and truth(p) is not None]
    if not choice:
        return []
    groups: dict[str | None, list[Prediction]] = {}
    for p in choice:
        groups.setdefault(p.type, []).append(p)
    whole = _matrix(None, choice)
    if whole:
        return [whole]
    return [m for m in (_matrix(t, part) for t, part in groups.items() if len(groups) > 1) if m]


def _matrix(title: str | None, predictions: Sequence[Prediction]) -> dict[str, Any] | None:
    if len({t for p in predictions for t in (truth(p), said(p))} - {None}) > MAX_CLASSES:
        return None  # before a table of all pairs is made: own candidates are thousands
    names, table = confusion(predictions)
    failed = bool(table[:, -1].any())
    counts = table if failed else table[:, :-1]
    rows = [
        {"name": n, "counts": [int(c) for c in row], "total": int(row.sum())}
        for n, row in zip(names, counts, strict=True)
    ]
    return {"title": title, "names": [*names, *(["no answer"] if failed else [])], "rows": rows}


def clips(run: Run) -> list[dict[str, Any]]:
    """Returns the best and the worst answers, each of another video, with their frames."""
    known = [p for p in run.predictions if truth(p) is not None and p.error is None]
    if not known:
        return []
    ranked = sorted(((_merit(p), p) for p in known), key=lambda pair: -pair[0])
    good = [p for merit, p in ranked if merit > 0]
    bad = [p for merit, p in reversed(ranked) if merit <= 0]
    frames = run.settings.frames if run.settings else None
    out = []
    names = ("Surest right answers", "Surest wrong answers")
    if all(p.choices is None for p in known):  # half of the words in common is not yet right
        names = ("Answers nearest to the right ones", "Answers furthest from the right ones")
    for title, part in zip(names, (good, bad), strict=True):
        chosen: dict[str | None, Prediction] = {}
        for p in part:
            if p.video not in chosen and len(chosen) < CLIPS:
                chosen[p.video] = p
        items = [
            {"p": p, "truth": truth(p), "strip": clip_strip(p, frames) if frames else None}
            for p in chosen.values()
        ]
        if items:
            out.append({"title": title, "items": items})
    return out


def _merit(p: Prediction) -> float:
    """Ranks answers: above 0 is right (written: near), and the surer the further from 0."""
    if p.choices is None:
        return METRICS.get("rouge_l").statistics([p]).value() - 0.5
    sure = p.probabilities[p.choice] if p.probabilities and p.choice is not None else 0.5
    return max(sure, 1e-6) if is_right(p) else -sure


def contenders(runs: Sequence[Run]) -> dict[str, Any] | None:
    """Compares the first run with the others on the same samples.

    Returns:
        Rows of the table and the break-down by type; None for a single run.
    """
    first = runs[0]
    metric = first.main.metric if first.main else None
    if len(runs) < 2 or metric is None:
        return None
    rows: list[dict[str, Any]] = []
    differences: list[Comparison] = []
    for run in runs:
        comparison: Comparison | None = None
        problem = None
        if run is not first and run.predictions:
            try:
                comparison = compare(first.predictions, run.predictions, metrics=[metric])[0]
                differences.append(comparison)
            except MTransError as error:
                problem = str(error)
        score = next((s for s in run.scores if not s.slice and s.metric == metric), None)
        rows.append(
            {
                "name": run.name,
                "score": score,
                "comparison": comparison,
                "problem": problem,
                "cost": run.cost,
                "changes": _changes(first, run) if run is not first else [],
            }
        )
    ends = [abs(e) for c in differences for e in (c.low, c.high, c.difference) if e is not None]
    return {
        "metric": metric,
        "rows": rows,
        "reach": max([*ends, 0.01]) * 1.05,
        "types": _by_type(runs, metric),
    }


def _by_type(runs: Sequence[Run], metric: str) -> list[dict[str, Any]]:
    table: dict[str, list[Score | None]] = {}
    for i, run in enumerate(runs):
        for s in run.scores:
            if s.metric == metric and "type" in s.slice:
                row = table.setdefault(str(s.slice["type"]), [None] * len(runs))
                row[i] = s
    return [{"type": name, "scores": scores} for name, scores in table.items()]


def _changes(first: Run, other: Run) -> list[tuple[str, Any]]:
    """Returns the settings in which a run differs from the first, but for its seed and places."""
    if first.settings is None or other.settings is None:
        return []
    a, b = flatten(settings_to_dict(first.settings)), flatten(settings_to_dict(other.settings))
    return [(k, b[k]) for k in b if a.get(k) != b[k] and k not in ("cache_dir", "device")]


def changed_settings(settings: RunSettings) -> dict[str, bool]:
    """Returns every dotted setting with whether it differs from its preset."""
    known = settings.preset if settings.preset in PRESETS else "mtrans"
    defaults = flatten(settings_to_dict(load_settings(preset=known)))
    return {k: v != defaults.get(k) for k, v in flatten(settings_to_dict(settings)).items()}
