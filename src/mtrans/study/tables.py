"""A study's results as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mtrans.core.records import Score
from mtrans.measure.compare import Comparison
from mtrans.measure.units import is_share, shown
from mtrans.study.parts import Data
from mtrans.study.plan import StudyPlan, text
from mtrans.study.results import Results, Row


def markdown(results: Results) -> str:
    """Returns a table for each data set, with what the numbers are above them."""
    plan = results.plan
    lines = [results.about or about(plan), ""]
    for data in plan.data:
        rows = results.of(data.name)
        lines += [f"### {data.name}", "", *_table(plan, rows), ""]
        own = sorted({r.overall.metric for r in rows if not is_share(r.overall.metric)})
        lines += [f"{', '.join(own)}: in its own unit, not in %.", ""] if own else []
    if results.missing:
        lines += [f"{len(results.missing)} runs are not done and not in these tables.", ""]
    return "\n".join(lines)


def about(plan: StudyPlan) -> str:
    """Returns what the numbers are, in a paragraph."""
    words = []
    if any(data.world for data in plan.data):
        words.append("Synthetic test benches with known truth.")
    words += [f"{_clips(data)}." for data in plan.data]
    budget = [f"{plan.frames} frames" if plan.frames else "", _budget(plan)]
    words.append(", ".join([b for b in budget if b] + [f"{len(plan.seeds)} seed(s)."]))
    if any(len(v.candidates) > 1 for v in plan.variants()):
        words.append("What was searched is chosen on validation with the first seed.")
    words.append(
        "Scores in %, mean over seeds, 95 % bootstrap interval clustered by video; ± is the"
        " standard deviation over seeds; differences are paired."
    )
    return " ".join(words)


def columns(plan: StudyPlan) -> tuple[list[str], list[str]]:
    """Returns the settings that were varied and those that were searched."""
    varied = list(dict.fromkeys(key for v in plan.variants() for key in v.point))
    tried = (key for v in plan.variants() for values in v.candidates for key in values)
    return varied, list(dict.fromkeys(tried))


def to_csv(results: Results) -> str:
    """Returns one line a row, numbers as fractions."""
    lines = [dict(_record(results.plan, row)) for row in results.rows]
    heads = list(dict.fromkeys(key for line in lines for key in line))
    file = io.StringIO()
    writer = csv.DictWriter(file, heads, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def _record(plan: StudyPlan, row: Row) -> Iterator[tuple[str, Any]]:
    varied, searched = columns(plan)
    yield from {"data": row.data, "contender": row.contender}.items()
    for key in varied:
        yield key, text(row.point[key]) if key in row.point else ""
    for key in searched:
        yield key, text(row.chosen[key]) if key in row.chosen else ""
    yield from {"metric": row.overall.metric, "seeds": len(row.seeds)}.items()
    yield from {"questions": row.overall.n, "videos": row.overall.clusters}.items()
    yield from _score("all", row.overall)
    yield "spread_over_seeds", row.spread
    yield from _score("motion", row.motion)
    for name, score in row.types.items():
        yield from _score(f"type {name}", score)
    for name, gap in (("difference", row.against), ("difference motion", row.against_motion)):
        yield name, gap.difference if gap else None
        for part in ("low", "high"):
            yield f"{name} {part}", getattr(gap, part, None)
    yield "against", row.reference
    yield from row.cost.items()


def _score(name: str, score: Score | None) -> Iterator[tuple[str, float | None]]:
    yield name, score.value if score else None
    for part in ("low", "high", "standard_error", "chance"):
        yield f"{name} {part}", getattr(score, part, None)


def _table(plan: StudyPlan, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["No run is finished."]
    varied, searched = columns(plan)
    parts = slices(rows)
    first = next(iter(plan.contenders))
    heads = ["contender", *varied, *parts, f"vs {first}", *(["against"] if varied else [])]
    heads += [*searched, *(head for _, head, _ in _costs(rows))]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    guess = ["chance", *("" for _ in varied), *(_chance(rows, part) for part in parts)]
    lines.append(f"| {' | '.join(guess + [''] * (len(heads) - len(guess)))} |")
    for row in rows:
        lacking = 0 < len(row.seeds) < len(plan.seeds)
        name = f"{row.contender} ({len(row.seeds)} of {len(plan.seeds)} seeds)"
        cells = [
            name if lacking else row.contender,
            *(text(row.point.get(key, "")) for key in varied),
        ]
        for part in parts:
            cells.append(_cell(part_of(row, part), row.spread if part == "all" else None))
        cells.append(_gap(row.against))
        cells += [row.reference or ""] if varied else []
        cells += [text(row.chosen.get(key, "")) for key in searched]
        for name, _, form in _costs(rows):
            cells.append(form(row.cost[name]) if name in row.cost else "")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _costs(rows: Sequence[Row]) -> list[tuple[str, str, Callable[[float], str]]]:
    """Returns (name, head, form) of the costs shown; operations where a run counted them."""
    shown_always: list[tuple[str, str, Callable[[float], str]]] = [
        ("visual_tokens", "visual tokens", "{:.0f}".format),
        ("trained_parameters", "trained parameters", "{:,.0f}".format),
        ("train_seconds", "train seconds", "{:.0f}".format),
    ]
    if not any("training_flops" in row.cost for row in rows):
        return shown_always
    counted = ("training_flops", "training GFLOPs a clip", lambda n: f"{n / 1e9:.3g}")
    return [*shown_always, counted]


def slices(rows: Sequence[Row]) -> list[str]:
    """Returns the parts shown of a data set: all, motion where it is more than a type, types."""
    types = list(dict.fromkeys(name for row in rows for name in row.types))
    own = any(row.motion and row.motion not in row.types.values() for row in rows)
    return ["all", *(["motion"] if own else []), *types]


def part_of(row: Row, part: str) -> Score | None:
    """Returns a row's score on a part named by :func:`slices`."""
    if part == "all":
        return row.overall
    return row.motion if part == "motion" and part not in row.types else row.types.get(part)


def _clips(data: Data) -> str:
    if data.world:
        return f"{data.name}: {data.train} training clips, {data.test} test clips"
    return f"{data.name}: own clips"


def _budget(plan: StudyPlan) -> str:
    if plan.steps is None:
        return "every preset's own number of epochs"
    return f"{plan.steps} steps" + (f" of {plan.batch} questions" if plan.batch else "")


def _chance(rows: Sequence[Row], part: str) -> str:
    scores = [s for row in rows if (s := part_of(row, part))]
    return next((shown(s.metric, s.chance) for s in scores if s.chance is not None), "")


def _cell(score: Score | None, spread: float | None) -> str:
    if score is None:
        return ""
    name = score.metric
    cell = shown(name, score.value)
    if score.low is not None and score.high is not None:
        cell += f" [{shown(name, score.low)}, {shown(name, score.high)}]"
    return cell + (f" ±{shown(name, spread)}" if spread is not None else "")


def _gap(gap: Comparison | None) -> str:
    if gap is None:
        return ""
    name = gap.metric
    cell = shown(name, gap.difference, signed=True)
    if gap.low is not None and gap.high is not None:
        low, high = (shown(name, end, signed=True) for end in (gap.low, gap.high))
        cell += f" [{low}, {high}]"
    return cell
