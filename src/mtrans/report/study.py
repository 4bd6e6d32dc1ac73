"""A study's results -> one self-contained HTML file, in the form of a run's report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mtrans.measure.units import is_share
from mtrans.report.build import fill, write_page
from mtrans.report.pareto import front_chart, stand_alone
from mtrans.report.plots import Series, line_chart
from mtrans.study.calibration_curve import Point
from mtrans.study.costs import ABOUT, COSTS, cells, known
from mtrans.study.front import points
from mtrans.study.plan import StudyPlan, text
from mtrans.study.plan_file import plan_to_dict
from mtrans.study.results import Results, Row
from mtrans.study.routing_study import RoutingFound
from mtrans.study.tables import about, columns, notes, part_of, slices, unfinished
from mtrans.study.transfer import ABOUT as TRANSFER

LINES = 6
"""Lines that a chart tells apart."""


def build_study(results: Results, out: str | Path, name: str | None = None) -> Path:
    """Writes the report of a study.

    Args:
        results: What was found.
        out: The HTML file.
        name: What the page calls the study; None is the file's folder.

    Returns:
        The path of the file.

    Raises:
        CheckpointError: It can't be written.
    """
    path = Path(out)
    page = {
        "name": name or path.resolve().parent.name,
        "about": results.about or about(results.plan),
        "worlds": sorted({d.world for d in results.plan.data if d.world}),
        "sets": [_set(results, data.name) for data in results.plan.data],
        "transfer": results.transfer,
        "transfer_about": TRANSFER.replace("`", ""),
        "missing": results.missing,
        "plan": plan_to_dict(results.plan),
    }
    write_page(path, fill("study.html.j2", page))
    return path


def _set(results: Results, name: str) -> dict[str, Any]:
    """Returns what the page says of a data set."""
    rows = results.of(name)
    gaps = [row.against for row in rows if row.against]
    ends = [abs(e) for gap in gaps for e in (gap.low, gap.high, gap.difference) if e is not None]
    return {
        "name": name,
        "notes": [line.replace("**", "") for line in notes(results, name) if line],
        "rows": [
            {
                "row": row,
                "label": row.label,
                "chosen": ", ".join(filter(None, [_words(row.chosen), *unfinished(results, row)])),
            }
            for row in rows
        ],
        "reach": max([*ends, 0.01]) * 1.05,
        "parts": [
            {"name": part, "scores": [(row.label, part_of(row, part)) for row in rows]}
            for part in slices(rows)[1:]
        ]
        if rows
        else [],
        "curves": curves(results.plan, rows),
        "costs": fronts(rows),
        "prices": {
            "heads": [cost.head for cost in known(rows)],
            "rows": [(row.label, cells(row, known(rows))) for row in rows if row.cost],
            "about": ABOUT,
        },
        "searches": [
            {
                "label": row.label,
                "trials": [(_words(t.values), t, t.values == row.chosen) for t in row.trials],
            }
            for row in rows
            if row.trials
        ],
    }


def curves(plan: StudyPlan, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Returns a chart for each varied number (its key) and part: a line a contender over values.

    Values stand at equal distances, so that 1, 2, 4, 8 can be read. A contender that does not have
    the setting (a baseline that fixes it) has no line.
    """
    charts = []
    for key in columns(plan)[0]:
        values = plan.vary[key]
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            continue
        values = tuple(sorted(values))
        for part in slices(rows) if rows else []:
            lines: dict[str, list[tuple[float, Any]]] = {}
            for row in rows:
                score = part_of(row, part)
                if key in row.point and score is not None:
                    others = {k: v for k, v in row.point.items() if k != key}
                    name = ", ".join(filter(None, [row.contender, _words(others)]))
                    place = float(values.index(row.point[key]))
                    lines.setdefault(name, []).append((place, score))
            series = [_series(name, points) for name, points in lines.items()][:LINES]
            names = [text(v) for v in values]
            title = f"{part.replace('_', ' ')}, over {key}"
            svg = line_chart(series, title=title, percent=True, unit=key, x_names=names)
            if svg:
                named = [s.name for s in series]
                charts.append({"key": key, "title": title, "svg": svg, "names": named})
    return charts


def fronts(rows: Sequence[Row], alone: bool = False) -> list[dict[str, Any]]:
    """Returns a chart for each cost that rows differ in: scores over it, with the Pareto front.

    Args:
        rows: A data set's rows.
        alone: Make each chart a picture that can stand in a file of its own.
    """
    charts = []
    percent = all(is_share(row.overall.metric) for row in rows)
    for cost in (cost for cost in COSTS if cost.axis):
        title = f"score over {cost.axis}"
        dots = points(rows, cost.name)
        svg = front_chart(dots, title=title, unit=cost.axis, percent=percent, alone=alone)
        if svg:
            charts.append({"cost": cost.name, "title": title, "svg": svg})
    return charts


def pictures(results: Results) -> Iterator[tuple[str, str]]:
    """Yields name and contents of a picture for each data set and cost, and each varied number."""
    for data in results.plan.data:
        rows = results.of(data.name)
        for chart in fronts(rows, alone=True):
            yield f"cost-{data.name}-{chart['cost'].replace('_', '-')}.svg", str(chart["svg"])
        whole = {chart["key"]: chart for chart in reversed(curves(results.plan, rows))}
        for key, chart in whole.items():  # the first of each is that of all questions
            name = f"curve-{data.name}-{key.replace('.', '-').replace('_', '-')}.svg"
            yield name, str(stand_alone(chart["svg"], chart["names"]))


def routing_pictures(found: Sequence[RoutingFound]) -> Iterator[tuple[str, str]]:
    """Yields name and contents of a picture of each contender's entropy over training."""
    for one in found:
        mean = one.mean_entropy
        if not len(mean):
            continue
        lines = [
            Series(name, one.steps, mean[:, i].tolist()) for i, name in enumerate(one.routers)
        ][:LINES]
        svg = line_chart(lines, title=f"entropy of the routers of {one.contender}")
        name = "".join(c if c.isalnum() else "-" for c in one.contender)
        yield f"routing-{name}.svg", str(stand_alone(svg, [line.name for line in lines]))


def calibration_pictures(found: Sequence[Point]) -> Iterator[tuple[str, str]]:
    """Yields name and contents of a picture of each data set's calibration error over its clips.

    Each contender as it is, and after one temperature fitted on a quarter as many clips.
    """
    for data in dict.fromkeys(point.data for point in found):
        points = [point for point in found if point.data == data]
        clips = sorted({point.clips for point in points})
        if len(clips) < 2:
            continue
        lines = []
        for contender in dict.fromkeys(point.contender for point in points):
            own = [point for point in points if point.contender == contender]
            for way, name in (("raw", contender), ("few", f"{contender}, one temperature")):
                scores = [
                    (float(clips.index(p.clips)), s)
                    for p in own
                    for s in p.scores.get(way, ())
                    if s.metric == "ece"
                ]
                lines += [_series(name, scores)] if scores else []
        names = [str(count) for count in clips]
        svg = line_chart(
            lines[:LINES],
            title=f"calibration error over training clips, {data}",
            percent=True,
            unit="training clips",
            x_names=names,
        )
        yield (
            f"calibration-{data}.svg",
            str(stand_alone(svg, [line.name for line in lines[:LINES]])),
        )


def _series(name: str, points: Sequence[tuple[float, Any]]) -> Series:
    placed = sorted(points, key=lambda point: point[0])
    scores = [score for _, score in placed]
    return Series(
        name,
        [x for x, _ in placed],
        [s.value for s in scores],
        mark="all",
        low=[s.value if s.low is None else s.low for s in scores],
        high=[s.value if s.high is None else s.high for s in scores],
    )


def _words(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}={text(value)}" for key, value in values.items())
