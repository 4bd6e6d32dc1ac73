"""A study's results as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from mtrans.core.records import Score
from mtrans.measure.compare import Comparison
from mtrans.measure.units import is_share, shown
from mtrans.study.costs import SIZES, cells, cost_table, known
from mtrans.study.parts import Data
from mtrans.study.plan import CLIPS, FRACTION, StudyPlan, text
from mtrans.study.results import Results, Row


def markdown(results: Results) -> str:
    """Returns a table for each data set, with what the numbers are above them."""
    plan = results.plan
    lines = [results.about or about(plan), ""]
    for data in plan.data:
        rows = results.of(data.name)
        lines += [f"### {data.name}", "", *_table(results, rows), ""]
        lines += notes(results, data.name)
        lines += cost_table(rows, [row.label for row in rows])
        own = sorted({r.overall.metric for r in rows if not is_share(r.overall.metric)})
        lines += [f"{', '.join(own)}: in its own unit, not in %.", ""] if own else []
    lines += _legend(plan)
    if results.missing:
        lines += [f"{len(results.missing)} runs are not done and not in these tables.", ""]
    return "\n".join(lines)


def about(plan: StudyPlan) -> str:
    """Returns what the numbers are, in a paragraph."""
    words = []
    part = bool({CLIPS, FRACTION} & set(plan.vary))
    if any(data.world for data in plan.data):
        words.append("Synthetic test benches with known truth.")
    budgets = {data.name: _budget(plan, data) for data in plan.data}
    alike = len(set(budgets.values())) == 1
    for data in plan.data:
        words.append(f"{_clips(data, part)}" + ("." if alike else f", {budgets[data.name]}."))
    shared = [budgets[plan.data[0].name]] if alike else []
    words.append(", ".join([*shared, f"{len(plan.seeds)} seed(s)."]))
    tried = _searched(plan)
    if tried:
        words.append(f"Searched is {tried}, chosen on validation with the first seed.")
    elif given := _given(plan):
        words.append(f"Nothing is searched: {given}, whatever the row.")
    words.append(
        "Scores in %, mean over seeds, 95 % bootstrap interval clustered by video; ± is the"
        " standard deviation over seeds; differences are paired."
    )
    return " ".join(words)


def _searched(plan: StudyPlan) -> str:
    """Returns what is searched, with the candidates that most rows have."""
    several = [v.candidates for v in plan.variants() if len(v.candidates) > 1]
    if not several:
        return ""
    usual = max(several, key=several.count)
    axes = {key: dict.fromkeys(text(c[key]) for c in usual) for key in usual[0]}
    told = " and ".join(f"{key} of {', '.join(values)}" for key, values in axes.items())
    all_alike = len(several) == len(plan.variants()) and several.count(usual) == len(several)
    return told + (" for every row alike" if all_alike else "")


def _given(plan: StudyPlan) -> str:
    """Returns the one candidate of a search that has but one for all rows."""
    only = [v.candidates[0] for v in plan.variants() if len(v.candidates) == 1]
    if not only or any(c != only[0] for c in only):
        return ""
    return " and ".join(f"{key} is {text(value)}" for key, value in only[0].items())


def notes(results: Results, data: str) -> list[str]:
    """Returns what a reader of a data set's table has to know: sizes, floors, what is missing."""
    rows = results.of(data)
    found = []
    sizes = [int(r.cost["trained_parameters"]) for r in rows if "trained_parameters" in r.cost]
    if sizes and min(sizes) != max(sizes):
        own = next((d.set for d in results.plan.data if d.name == data), {})
        budget = {**results.plan.set, **own}.get("model.budget")
        wanted = f" (wanted of all: {budget:,})" if budget else ""
        found += [
            f"Trained parameters are not equal: {min(sizes):,} to {max(sizes):,}{wanted}; the"
            " column says whose.",
            "",
        ]
    left_out = max((r.left_out / max(1, len(r.seeds)) for r in rows), default=0)
    if left_out:
        found += [
            f"**{left_out:,.0f} open questions are not in `all`**, which is the accuracy of those"
            " with candidates; columns of open types are exact match.",
            "",
        ]
    words = {
        "majority": "the commonest answer of each type of question",
        "shortcut": "a random forest on what the containers say",
        "svm-text": "a linear support vector machine on the words of question and context",
    }
    floors = [r.contender for r in rows if not r.seeds and r.contender in words]
    if floors:
        told = "; ".join(f"{name}: {words[name]}" for name in floors)
        found += [f"Rows that see no frame and train no model: {told}.", ""]
    outside = [r.contender for r in rows if not r.seeds and r.contender not in words]
    if outside:
        told = ", ".join(outside)
        found += [f"Other systems, measured from answers that were imported: {told}.", ""]
    for name, label, differ in results.other:
        if name == data:
            found += [
                f"**{label} was run with other settings** than its name means today: {differ}.",
                "",
            ]
    absent = [label for name, label in results.absent if name == data]
    if absent:
        found += [f"**Partial.** Not one run is finished of: {', '.join(absent)}.", ""]
    return found


def _legend(plan: StudyPlan) -> list[str]:
    """Returns what contenders are, where the plan says so."""
    told = [f"- `{name}`: {c.about}" for name, c in plan.contenders.items() if c.about]
    return [*told, ""] if told else []


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


def _table(results: Results, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["No run is finished."]
    plan = results.plan
    varied, searched = columns(plan)
    parts = slices(rows)
    first = next(iter(plan.contenders))
    heads = ["contender", *varied, *parts, f"vs {first}", *(["against"] if varied else [])]
    sizes = known(rows, SIZES)
    heads += [*searched, *(size.head for size in sizes)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    guess = ["chance", *("" for _ in varied), *(_chance(rows, part) for part in parts)]
    lines.append(f"| {' | '.join(guess + [''] * (len(heads) - len(guess)))} |")
    for row in rows:
        line = [_named(results, row), *(text(row.point.get(key, "")) for key in varied)]
        for part in parts:
            line.append(_cell(part_of(row, part), row.spread if part == "all" else None))
        line.append(_gap(row.against))
        line += [row.reference or ""] if varied else []
        line += [text(row.chosen.get(key, "")) for key in searched]
        lines.append(f"| {' | '.join([*line, *cells(row, sizes)])} |")
    return lines


def _named(results: Results, row: Row) -> str:
    """Returns a row's contender, with what is not finished of it."""
    lacks = unfinished(results, row)
    return f"{row.contender} ({', '.join(lacks)})" if lacks else row.contender


def unfinished(results: Results, row: Row) -> list[str]:
    """Returns what is not finished of a row: seeds, its search."""
    seeds = len(results.plan.seeds)
    lacks = [f"{len(row.seeds)} of {seeds} seeds"] if 0 < len(row.seeds) < seeds else []
    return lacks + ["search not over"] * ((row.data, row.label) in results.unsettled)


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


def _clips(data: Data, part: bool) -> str:
    if data.world:
        most = "up to " if part else ""
        return f"{data.name}: {most}{data.train} training clips, {data.test} test clips"
    return f"{data.name}: own clips"


def _budget(plan: StudyPlan, data: Data) -> str:
    frames, steps, batch = plan.budget(data)
    shown = f"{frames} frames, " if frames and "frames.count" not in plan.vary else ""
    if steps is None:
        return shown + "every preset's own number of epochs"
    return f"{shown}{steps} steps" + (f" of {batch} questions" if batch else "")


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
