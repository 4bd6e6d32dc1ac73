"""Scores against what they cost, and what nobody beats at its price: the Pareto front."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from mtrans.study.plan import text
from mtrans.study.results import Results, Row

COSTS = {
    "trained_parameters": "trained parameters",
    "train_seconds": "seconds of training",
    "training_flops": "operations of a clip in training",
    "peak_memory_mb": "peak memory in MiB",
    "visual_tokens": "visual tokens",
}
"""Costs that are held against the score, with their names for people."""


@dataclass(frozen=True)
class Point:
    """A row at its price.

    Attributes:
        number: The row's number among those that cost something, the same for all costs.
        contender: The contender's name.
        label: The row's name, with what is varied.
        cost: What it costs.
        value: Its score on all questions.
        low: Lower end of the score's interval; None where there is none.
        high: Upper end.
        seeds: How many seeds it is the mean of.
        front: No other row is as good or better for as little or less.
    """

    number: int
    contender: str
    label: str
    cost: float
    value: float
    low: float | None
    high: float | None
    seeds: int
    front: bool


def row_label(row: Row) -> str:
    """Returns a row's name, with what is varied."""
    return ", ".join([row.contender, *(f"{k}={text(v)}" for k, v in row.point.items())])


def points(rows: Sequence[Row], cost: str) -> list[Point]:
    """Returns the rows that know a cost, in their order; floors know none."""
    priced = [row for row in rows if row.cost]
    known = [
        (number, row, row.cost[cost], row.overall)
        for number, row in enumerate(priced, 1)
        if row.cost.get(cost) is not None
    ]
    return [
        Point(
            number=number,
            contender=row.contender,
            label=row_label(row),
            cost=price,
            value=score.value,
            low=score.low,
            high=score.high,
            seeds=len(row.seeds),
            front=not any(
                other_price <= price
                and other.value >= score.value
                and (other_price < price or other.value > score.value)
                for _, _, other_price, other in known
            ),
        )
        for number, row, price, score in known
    ]


def cost_csv(results: Results) -> str:
    """Returns a line a row and cost, with whether it is on the front; numbers as fractions."""
    file = io.StringIO()
    write = csv.writer(file, lineterminator="\n").writerow
    write(["data", "row", "cost", "amount", "metric", "value", "low", "high", "seeds", "front"])
    for data in results.plan.data:
        rows = results.of(data.name)
        for cost in COSTS:
            for p in points(rows, cost):
                metric = next(r.overall.metric for r in rows if row_label(r) == p.label)
                ends = (p.value, p.low, p.high, p.seeds, int(p.front))
                write([data.name, p.label, cost, p.cost, metric, *ends])
    return file.getvalue()
