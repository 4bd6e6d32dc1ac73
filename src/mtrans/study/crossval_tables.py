"""A cross-validation's results in words and Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from mtrans.core.markdown import table
from mtrans.data.folds import Fold
from mtrans.data.leaks import Leak
from mtrans.measure.units import shown
from mtrans.study.crossval import Protocol
from mtrans.study.floors import CONTAINER
from mtrans.study.plan import StudyPlan, text
from mtrans.study.results import Results, Row
from mtrans.study.tables import markdown

if TYPE_CHECKING:
    from mtrans.study.crossval_results import Detail


def about(protocol: Protocol, folds: Sequence[Fold], plan: StudyPlan) -> str:
    """Returns what the numbers are, in a paragraph."""
    tests = [s for fold in folds if fold.repeat == 1 for s in fold.test]
    count = len(folds) // protocol.repeats
    videos = len({s.video for s in tests} - {None})
    made = (
        "as the data name them"
        if protocol.folds is None
        else f"stratified, no {protocol.by} torn apart, seed {protocol.seed}"
    )
    if protocol.repeats > 1:
        last = protocol.seed + protocol.repeats - 1
        made += f" to {last}: {protocol.repeats} partitions"
    words = [f"{count} folds ({made}) of {len(tests)} questions about {videos} videos."]
    words.append(
        f"{100 * protocol.val:g} % of each fold's training data are its validation part, on which"
        " alone anything is chosen."
        if protocol.val
        else "No validation part: nothing is chosen."
    )
    steps = f"{plan.steps} steps" if plan.steps else "the preset's own number of epochs"
    size = f" of {plan.batch} questions" if plan.batch else ""
    words.append(f"Each run: {steps}{size}; {len(plan.seeds)} seed(s).")
    words.append(
        "Scores in %, all folds' test answers pooled, mean over seeds, 95 % bootstrap interval"
        f" clustered by {protocol.by}; ± is the standard deviation over seeds; differences are"
        " paired. Majority and shortcut floor know the same training questions, but no frame and"
        f" no word: the floor is a random forest on {', '.join(CONTAINER)}"
        + (f" and {', '.join(protocol.nuisance)}." if protocol.nuisance else ".")
    )
    return " ".join(words)


def to_markdown(results: Results, details: Sequence[Detail], leaks: Sequence[Leak]) -> str:
    """Returns the tables: all folds together (floors first), each fold, other metrics, remarks."""
    pairs = list(zip(results.rows, details, strict=True))
    pairs.sort(key=lambda pair: bool(pair[0].seeds))  # floors first; the rest keep their order
    ordered = Results(results.plan, [row for row, _ in pairs], results.missing, results.about)
    lines = [markdown(ordered), "### by fold", "", *_parts(pairs, "folds"), ""]
    if any(detail.repeats for _, detail in pairs):
        lines += ["### by repeat", "", *_parts(pairs, "repeats"), ""]
    metrics = list(dict.fromkeys(s.metric for _, d in pairs for s in d.metrics))
    if metrics:
        lines += ["### other metrics", "", *_metrics(pairs, metrics), ""]
    opened = sorted(t for _, d in pairs for times in d.opened.values() for t in times)
    if opened:
        again = [run for _, d in pairs for run, times in d.opened.items() if len(times) > 1]
        once = "once by each run" if not again else f"more than once by {', '.join(again)}"
        lines += [f"Test parts were opened {once}, between {opened[0]} and {opened[-1]}.", ""]
    lines += [f"warning: {leak}" for leak in leaks] + [""] * bool(leaks)
    return "\n".join(lines)


def _parts(pairs: Sequence[tuple[Row, Detail]], kind: Literal["folds", "repeats"]) -> list[str]:
    names = list(dict.fromkeys(name for _, d in pairs for name in getattr(d, kind)))
    heads = ["", *names, "mean", f"SD over {kind}", "pooled", "standard error"]
    rows = []
    for row, detail in pairs:
        metric = row.overall.metric
        found: dict[str, float] = getattr(detail, kind)
        values = [found[name] for name in names if name in found]
        cells = [_cell(metric, found.get(name)) for name in names]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        cells += [_cell(metric, float(np.mean(values)) if values else None), _cell(metric, spread)]
        cells += [_cell(metric, row.overall.value), _cell(metric, row.overall.standard_error)]
        rows.append([label(row), *cells])
    return table(heads, rows)


def _metrics(pairs: Sequence[tuple[Row, Detail]], metrics: Sequence[str]) -> list[str]:
    rows = []
    for row, detail in pairs:
        by_name = {s.metric: s for s in detail.metrics}
        cells = []
        for name in metrics:
            score = by_name.get(name)
            interval = (
                f" [{shown(name, score.low)}, {shown(name, score.high)}]"
                if score and score.low is not None and score.high is not None
                else ""
            )
            cells.append(_cell(name, score.value if score else None) + interval)
        rows.append([label(row), *cells])
    return table(["", *metrics], rows)


def label(row: Row) -> str:
    """Returns a row's name with its point."""
    return ", ".join([row.contender, *(f"{k}={text(v)}" for k, v in row.point.items())])


def _cell(metric: str, value: float | None) -> str:
    return "" if value is None else shown(metric, value)
