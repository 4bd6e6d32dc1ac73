"""What the commands print: tables of scores, comparisons and checks; progress; quiet libraries.

Results go to standard output, everything about their making to standard error.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from mtrans.core.screen import progress as progress
from mtrans.core.screen import say as say

if TYPE_CHECKING:
    from mtrans.core.records import Score
    from mtrans.data.check import Check
    from mtrans.data.prepare import Outcome
    from mtrans.measure.compare import Comparison

SYNTHETIC = (
    "Synthetic clips, drawn by a program: they tell whether a method can learn what it should, and"
    " nothing about accuracy on real footage."
)

WIDTH = 110
"""Columns of tables that don't go to a terminal."""

DASH = "-"


def console() -> Console:
    """Returns the console of standard output, wide enough for tables when it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, soft_wrap=False)


def table(*columns: str, title: str | None = None, text: int = 1) -> Table:
    """Returns an empty table whose first `text` columns are words and the others numbers."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i < text else "right", overflow="fold")
    return made


def percent(value: float | None, signed: bool = False) -> str:
    """Returns a fraction in percent with one decimal."""
    if value is None:
        return DASH
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def number(metric: str, value: float | None, signed: bool = False) -> str:
    """Returns a value of a metric: a share in percent, anything else in its own unit."""
    from mtrans.measure.units import shown

    return DASH if value is None else shown(metric, value, signed=signed)


def numbers(metric: str, low: float | None, high: float | None, signed: bool = False) -> str:
    """Returns an interval of a metric, as :func:`number`."""
    if low is None or high is None:
        return DASH
    return f"{number(metric, low, signed)} to {number(metric, high, signed)}"


def unit_of(rows: Sequence[Score] | Sequence[Comparison]) -> str:
    """Returns what a column of such numbers is headed with, ``%`` for shares."""
    from mtrans.measure.units import unit

    return unit([row.metric for row in rows])


def size(count: float) -> str:
    """Returns bytes in a unit that reads well."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def scores_table(scores: Sequence[Score], title: str) -> Table:
    """Returns the scores over all predictions."""
    whole = [s for s in scores if not s.slice]
    heads = (unit_of(whole), "95 % interval", f"chance {unit_of(whole)}", "questions", "videos")
    made = table("metric", *heads, title=title)
    for s in whole:
        made.add_row(
            s.metric.replace("_", " "),
            number(s.metric, s.value),
            numbers(s.metric, s.low, s.high),
            number(s.metric, s.chance),
            str(s.n),
            str(s.clusters),
        )
    return made


def slices_table(scores: Sequence[Score], key: str, title: str) -> Table | None:
    """Returns the scores by one key, e.g. the question type; None where it has one value only."""
    rows = [s for s in scores if key in s.slice]
    if not rows:
        return None
    heads = (unit_of(rows), "95 % interval", f"chance {unit_of(rows)}", "questions")
    made = table(key, "metric", *heads, title=title, text=2)
    for s in rows:
        made.add_row(
            str(s.slice[key]),
            s.metric.replace("_", " "),
            number(s.metric, s.value),
            numbers(s.metric, s.low, s.high),
            number(s.metric, s.chance),
            str(s.n),
        )
    return made


def comparison_table(rows: Sequence[Comparison], reference: str, other: str) -> Table:
    """Returns how a run differs from a reference."""
    made = table(
        "metric",
        f"reference {unit_of(rows)}",
        f"run {unit_of(rows)}",
        "difference",
        "95 % interval",
        "McNemar p",
        "only reference / only run right",
        title=f"{other} against {reference}",
    )
    for c in rows:
        made.add_row(
            c.metric.replace("_", " "),
            number(c.metric, c.reference),
            number(c.metric, c.other),
            number(c.metric, c.difference, signed=True),
            numbers(c.metric, c.low, c.high, signed=True),
            DASH if c.p is None else f"{c.p:.3g}",
            DASH if c.only_reference is None else f"{c.only_reference} / {c.only_other}",
        )
    return made


def check_table(check: Check) -> Table:
    """Returns the question types of a manifest."""
    made = table(
        "question type", "samples", "answers", "commonest %", "chance %", "the answers", text=1
    )
    made.columns[-1].justify = "left"
    for name, kind in check.types.items():
        shown = [f"{answer} {n}" for answer, n in list(kind.answers.items())[:6]]
        more = len(kind.answers) - len(shown)
        made.add_row(
            name or DASH,
            str(kind.samples),
            str(len(kind.answers)),
            percent(kind.majority),
            percent(kind.chance),
            ", ".join(shown) + (f", {more} more" if more > 0 else ""),
        )
    return made


def prepared_table(done: Outcome) -> Table:
    """Returns the splits that `mtrans data prepare` wrote."""
    made = table(
        "split", "questions", "clips", "missing", "commonest %", "chance %", "the answers", text=1
    )
    made.columns[-1].justify = "left"
    for split, found in done.splits.items():
        for name, kind in found.types.items():
            shown = [f"{answer} {n}" for answer, n in list(kind["answers"].items())[:4]]
            more = kind["different_answers"] - len(shown)
            if more > len(kind["answers"]):  # open answers: which four come first says nothing
                shown, more = [f"{kind['different_answers']} different"], 0
            several = len(found.types) > 1
            made.add_row(
                f"{split}: {name or DASH}" if several else split,
                str(kind["samples"]),
                DASH if several else str(found.videos),
                DASH if several else str(found.missing),
                percent(kind["majority"]),
                percent(kind["chance"]),
                ", ".join(shown) + (f", {more} more" if more > 0 else ""),
            )
    return made


def quiet_libraries() -> None:
    """Keeps transformers' own bars and remarks off the screen; errors still come through."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", module=r"(torch|transformers|peft|accelerate)\..*")


def plain(value: Any) -> Any:
    """Returns a value whose NaN and infinities are gone, for strict JSON."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
