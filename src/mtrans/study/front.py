"""Scores against what they cost, and what nobody beats at its price: the Pareto front."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mtrans.study.costs import COSTS
from mtrans.study.plan import text
from mtrans.study.results import Results, Row


@dataclass(frozen=True)
class Point:
    """A row at its price.

    Attributes:
        contender: The contender's name.
        label: The row's name, with what is varied.
        tag: What is varied alone, where there is something.
        cost: What it costs.
        value: Its score on all questions.
        low: Lower end of the score's interval; None where there is none.
        high: Upper end.
        seeds: How many seeds it is the mean of.
        front: No other row is as good or better for as little or less.
    """

    contender: str
    label: str
    tag: str
    cost: float
    value: float
    low: float | None
    high: float | None
    seeds: int
    front: bool


def points(rows: Sequence[Row], cost: str) -> list[Point]:
    """Returns the rows that know a cost, in their order; floors know none."""
    known = [(row, row.cost[cost], row.overall) for row in rows if row.cost.get(cost) is not None]
    return [
        Point(
            contender=row.contender,
            label=row.label,
            tag=", ".join(map(_brief, row.point.values())),
            cost=price,
            value=score.value,
            low=score.low,
            high=score.high,
            seeds=len(row.seeds),
            front=not any(
                other_price <= price
                and other.value >= score.value
                and (other_price < price or other.value > score.value)
                for _, other_price, other in known
            ),
        )
        for row, price, score in known
    ]


def _brief(value: Any) -> str:
    """Returns 125000 as ``125k``, and other values as they are called everywhere."""
    long = isinstance(value, int) and value >= 10_000 and value % 1000 == 0
    return f"{value // 1000}k" if long else text(value)


def cost_csv(results: Results) -> str:
    """Returns a line a row and cost, with whether it is on the front; numbers as fractions."""
    file = io.StringIO()
    write = csv.writer(file, lineterminator="\n").writerow
    write(["data", "row", "cost", "amount", "metric", "value", "low", "high", "seeds", "front"])
    for data in results.plan.data:
        rows = results.of(data.name)
        for cost in (cost.name for cost in COSTS if cost.axis):
            for p in points(rows, cost):
                metric = next(r.overall.metric for r in rows if r.label == p.label)
                ends = (p.value, p.low, p.high, p.seeds, int(p.front))
                write([data.name, p.label, cost, p.cost, metric, *ends])
    return file.getvalue()
