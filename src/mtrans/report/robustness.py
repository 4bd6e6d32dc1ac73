"""The section "Robustness" of a report: ``robustness.json`` -> plain values and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.records import Score
from mtrans.measure.robustness import ROBUSTNESS, SCHEMA
from mtrans.report.plots import Series, line_chart
from mtrans.report.read import read_document

FOLDER = "robustness"
"""Folder of the run that `mtrans robustness` writes to."""

TITLES = {
    "order": "Order of frames",
    "moments": "Moments that are sampled",
    "pixels": "Pixels",
    "cut_in": "Frames of other clips",
    "text": "Words",
    "attack": "Attack on the pixels",
}
"""Headings by kind, in the order of the page."""

LINES = 6
"""Lines of a chart at most: as many as colours tell apart."""


def read_robustness(run: Path) -> dict[str, Any]:
    """Reads a run's ``robustness.json``; empty where there is none of this version."""
    return read_document(run / FOLDER / ROBUSTNESS, SCHEMA)


def robustness(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the section shows: ``says``, ``charts``, ``kinds`` with rows, ``temporal``.

    Args:
        document: ``robustness.json``; empty gives an empty section.
    """
    if not document:
        return {}
    kinds = []
    charts = []
    for kind, title in TITLES.items():
        rows = [r for r in document["rows"] if r["kind"] == kind]
        if not rows:
            continue
        kinds.append({"title": title, "rows": [_row(r) for r in rows]})
        charts += _charts(title, rows, document["clean"])
    return {
        "says": document["says"],
        "clean": document["clean"],
        "charts": charts,
        "kinds": kinds,
        "temporal": document["temporal"].get("rows", []),
        "missing": document["temporal"].get("missing"),
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    score = None
    if row["accuracy"] is not None:
        score = Score("accuracy", row["accuracy"], row["low"], row["high"], n=row["n"])
    return {**row, "score": score}


def _charts(
    title: str, rows: Sequence[Mapping[str, Any]], clean: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Draws accuracy against severity, from 0, the undisturbed clip, on."""
    lines = []
    for name in dict.fromkeys(r["name"] for r in rows):
        own = [r for r in rows if r["name"] == name and r["accuracy"] is not None]
        if len(own) < 2 or clean["accuracy"] is None:
            continue  # a single point is no curve: the table has it
        known = own[0]["low"] is not None and clean["low"] is not None
        lines.append(
            Series(
                name.replace("_", " "),
                [0.0, *(float(r["severity"]) for r in own)],
                [clean["accuracy"], *(r["accuracy"] for r in own)],
                mark="all",
                low=[clean["low"], *(r["low"] for r in own)] if known else (),
                high=[clean["high"], *(r["high"] for r in own)] if known else (),
            )
        )
    made = []
    for begin in range(0, len(lines), LINES):
        part = lines[begin : begin + LINES]
        svg = line_chart(part, title=title, percent=True, unit="severity")
        made.append({"title": title, "svg": svg, "names": [line.name for line in part]})
    return made
