"""What sections of docs/BENCHMARKS.md are made of: goals with verdicts, ratios, tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Record: TypeAlias = Mapping[str, Any]
"""What `mtrans.bench.side_by_side.write_result` wrote, read back."""


@dataclass(frozen=True)
class Goal:
    """What is wanted, and what came.

    Attributes:
        what: What is wanted, in words.
        measured: The figure, in words.
        met: Whether the figure reaches it; None where it was not measured.
    """

    what: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "met", False: "**not met**", None: "not measured"}[self.met]


@dataclass(frozen=True)
class Section:
    """What a record says.

    Attributes:
        command: What gives it, as far as the record tells.
        lines: Markdown: tables and sentences.
        goals: What was wanted.
    """

    command: str
    lines: Sequence[str]
    goals: Sequence[Goal] = ()


Make: TypeAlias = Callable[[Record], Section]


@dataclass(frozen=True)
class Span:
    """A ratio over rounds, each paired."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def paired(slow: Sequence[float], fast: Sequence[float]) -> Span:
    """Returns how many times as long one case takes as another, round by round."""
    each = [a / b for a, b in zip(slow, fast, strict=True)]
    return Span(statistics.median(each), min(each), max(each))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, text: int = 1) -> list[str]:
    """Returns a Markdown table, and an empty line after it.

    Args:
        head: Names of the columns.
        rows: Cells.
        text: Columns of words; those that follow are set to the right.
    """
    ruled = "|---" * text + "|---:" * (len(head) - text) + "|"
    body = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return [body[0], ruled, *body[1:], ""]


def options(**values: Any) -> str:
    """Returns options of a command; those with a list are given repeatedly."""
    words = []
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            words.append(f" --{name} {one:g}" if isinstance(one, float) else f" --{name} {one}")
    return "".join(words)


def distinct(values: Sequence[Any]) -> list[Any]:
    """Returns each value once, in order."""
    return list(dict.fromkeys(values))
