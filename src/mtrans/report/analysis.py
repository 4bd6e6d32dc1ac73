"""The section "Analysis" of a report: ``analysis.json`` -> plain values and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mtrans.core.records import Score
from mtrans.measure.constructs import RULES
from mtrans.measure.directions import GUESS
from mtrans.measure.sayings import part_name, value_of
from mtrans.report.plots import Series, line_chart

Part = Mapping[str, Any]

TITLES = {
    "mistakes": "Kinds of mistakes",
    "worst": "Where it is worst",
    "directions": "Which way things move",
    "constructs": "By how it is said",
    "modality": "Words against pictures",
    "perception": "Perception or reasoning",
    "calibration": "How far its confidence can be trusted",
    "bias": "Shortcuts and groups",
}
"""Headings, in the order of the page."""

GROUPS = 12
"""Groups of a column shown at most."""


def analysis(document: Part) -> list[dict[str, Any]]:
    """Returns the parts of an analysis, each with ``name``, ``title``, ``says`` and ``view``.

    Args:
        document: ``analysis.json``; empty gives no part.

    Returns:
        The parts in the order of the page; one that could not be made has ``missing``.
    """
    out = []
    for name, title in TITLES.items():
        part = document.get("parts", {}).get(name)
        if part is None:
            continue
        missing = part.get("missing")
        view = VIEWS[name](part) if missing is None else {}
        says = part.get("says", [])
        out.append({"name": name, "title": title, "says": says, "missing": missing, "view": view})
    return out


def score_of(row: Part) -> Score:
    """Returns a row's accuracy as a score, for the bars of the page."""
    return Score(
        metric="accuracy",
        value=row["accuracy"],
        low=row.get("low"),
        high=row.get("high"),
        n=row.get("n", 0),
        clusters=row.get("clusters", 0),
        chance=row.get("chance"),
    )


def _mistakes(part: Part) -> dict[str, Any]:
    wrong = part["wrong"]
    kinds = [(k, n, n / wrong if wrong else 0.0) for k, n in part["kinds"].items() if n]
    answers = [_gap(row) | row for row in part["answers"] if _apart(row)]
    return {
        "kinds": kinds,
        "confusions": part["confusions"],
        "answers": answers,
        "reach": _reach(answers),
    }


def _worst(part: Part) -> dict[str, Any]:
    return {"rows": [_row(part_name(row["facts"]), row) | row for row in part["parts"]]}


def _directions(part: Part) -> dict[str, Any]:
    names = {"line": "along the right line", "sense": "the right way, of those"}
    rows = [
        _row(
            name,
            {
                "accuracy": part[key],
                "low": part[f"{key}_low"],
                "high": part[f"{key}_high"],
                "chance": {"line": part["line_chance"], "sense": GUESS}[key],
                "n": {"line": part["n"], "sense": part["sense_n"]}[key],
            },
        )
        for key, name in names.items()
    ]
    return {"rows": rows}


def _constructs(part: Part) -> dict[str, Any]:
    rows = [_row(row["construct"], row) | row for row in part["rows"]]
    return {"rows": rows, "rules": [(rule.name, rule.about) for rule in RULES]}


def _modality(part: Part) -> dict[str, Any]:
    return {"rows": [_row(row["part"], row) | row for row in part["parts"]]}


def _perception(part: Part) -> dict[str, Any]:
    askers = {"by its own answers": part, "by the image model's": part.get("image_model")}
    return {
        "by": [
            {
                "name": name,
                "types": [row for row in found["types"] if row["wrong"]],
                "stills": [_row(row["type"], row) | row for row in found["stills"]],
            }
            for name, found in askers.items()
            if found is not None
        ]
    }


def _calibration(part: Part) -> dict[str, Any]:
    variants = part["variants"]
    return {
        "charts": [_reliability(variants), _risk(variants[-1])],
        "names": [v["name"] for v in variants],
        "metrics": [
            (metric, [next(s for s in v["scores"] if s["metric"] == metric) for v in variants])
            for metric in (s["metric"] for s in variants[0]["scores"])
        ],
        "selective": [
            {**row, "score": score_of({**row, "n": 0})} for row in variants[-1]["selective"][1::2]
        ],
        "fitted": part["calibration"],
    }


def _bias(part: Part) -> dict[str, Any]:
    columns = []
    for column in part["columns"]:
        groups = [_row(value_of(g["name"]), g) | g for g in column["groups"]]
        groups.sort(key=lambda g: g["accuracy"])
        shortcuts = [
            {**row, "told": _gap(row["truth"], "gain"), "read": _gap(row["answers"], "gain")}
            for row in column["shortcuts"]
        ]
        gains = [row[key] for row in shortcuts for key in ("told", "read")]
        columns.append(
            {
                **column,
                "groups": groups[:GROUPS],
                "more": max(0, len(groups) - GROUPS),
                "shortcuts": shortcuts,
                "reach": _reach(gains),
            }
        )
    return {"columns": columns, "notes": part["notes"], "level": part["level"]}


VIEWS: dict[str, Callable[[Part], dict[str, Any]]] = {
    "mistakes": _mistakes,
    "worst": _worst,
    "directions": _directions,
    "constructs": _constructs,
    "modality": _modality,
    "perception": _perception,
    "calibration": _calibration,
    "bias": _bias,
}


def _reliability(variants: Sequence[Part]) -> dict[str, Any]:
    """Draws accuracy against confidence; on the diagonal a model means what it says."""
    lines = []
    for variant in variants:
        rows = variant["reliability"]
        ends = [r for r in rows if r["accuracy_low"] is not None]
        lines.append(
            Series(
                variant["name"],
                [r["confidence"] for r in rows],
                [r["accuracy"] for r in rows],
                mark="all",
                low=[r["accuracy_low"] for r in ends],
                high=[r["accuracy_high"] for r in ends],
            )
        )
    seen = [x for line in lines for x in line.x]
    ends_of = [min(seen), max(seen)]
    lines.append(Series("as it should be", ends_of, ends_of))
    return _chart("Right answers against confidence", lines, "confidence")


def _risk(variant: Part) -> dict[str, Any]:
    """Draws the share of errors among the surest answers, beside the best and no order."""
    rows, rate = variant["selective"], variant["error_rate"]
    ends = [r for r in rows if r["low"] is not None]
    covered = [r["coverage"] for r in rows]
    best = [max(0.0, c - (1 - rate)) / c for c in covered]
    lines = [
        Series(
            "surest first",
            covered,
            [1 - r["accuracy"] for r in rows],
            mark="all",
            low=[1 - r["high"] for r in ends],
            high=[1 - r["low"] for r in ends],
        ),
        Series("no order", [covered[0], covered[-1]], [rate, rate]),
        Series("best order", covered, best),
    ]
    return _chart("Errors among the share that is answered", lines, "share answered")


def _chart(title: str, lines: Sequence[Series], unit: str) -> dict[str, Any]:
    svg = line_chart(lines, title=title, percent=True, unit=unit)
    return {"title": title, "svg": svg, "names": [line.name for line in lines]}


def _row(name: str, row: Part) -> dict[str, Any]:
    return {"name": name, "score": score_of(row)}


def _apart(row: Part) -> bool:
    """Says whether a difference's interval excludes 0."""
    return row["low"] is not None and (row["low"] > 0 or row["high"] < 0)


def _gap(row: Part, key: str = "difference") -> dict[str, Any]:
    return {"difference": row[key], "low": row["low"], "high": row["high"]}


def _reach(rows: Sequence[Part]) -> float:
    values = [abs(v) for r in rows for v in (r["difference"], r["low"], r["high"]) if v is not None]
    return max([*values, 0.01]) * 1.05
