"""What is on the Pareto front, in numbers and in the picture."""

from __future__ import annotations

import csv
import io

import pytest

from mtrans.core.records import Score
from mtrans.report.pareto import front_chart
from mtrans.study.front import cost_csv, points
from mtrans.study.plan_file import plan_from_dict
from mtrans.study.results import Results, Row


def row(contender: str, value: float, **cost: float) -> Row:
    score = Score("accuracy", value, value - 0.02, value + 0.02, 0.01, 40, 20, {}, 0.5)
    empty = {"point": {}, "chosen": {}, "trials": [], "types": {}, "motion": None, "spread": None}
    others = {"reference": None, "against": None, "against_motion": None}
    return Row(
        data="talk", contender=contender, seeds=[0], overall=score, cost=cost, **empty, **others
    )


ROWS = [
    row("dear", 0.9, trained_parameters=4000.0, train_seconds=9.0),
    row("cheap", 0.6, trained_parameters=1000.0, train_seconds=9.0),
    row("bad", 0.5, trained_parameters=2000.0, train_seconds=9.0),
    row("same price, worse", 0.55, trained_parameters=1000.0, train_seconds=9.0),
    row("floor", 0.3),
]


def test_the_front_is_what_nobody_beats_at_its_price():
    found = points(ROWS, "trained_parameters")
    assert [(p.number, p.front) for p in found] == [(1, True), (2, True), (3, False), (4, False)]
    assert points(ROWS, "visual_tokens") == []
    assert [p.front for p in points(ROWS, "train_seconds")] == [True, False, False, False]


def test_rows_that_are_equal_are_both_on_it():
    twins = [row("a", 0.6, train_seconds=5.0), row("b", 0.6, train_seconds=5.0)]
    assert [p.front for p in points(twins, "train_seconds")] == [True, True]


def test_the_table_has_a_line_for_each_row_and_cost():
    data = {"world": "talk", "train": 6, "test": 4}
    plan = plan_from_dict({"data": data, "contenders": ["mtrans"]})
    lines = list(csv.DictReader(io.StringIO(cost_csv(Results(plan, ROWS)))))
    assert len(lines) == 8
    front = [(line["row"], line["cost"]) for line in lines if line["front"] == "1"]
    assert front == [
        ("dear", "trained_parameters"),
        ("cheap", "trained_parameters"),
        ("dear", "train_seconds"),
    ]
    assert float(lines[0]["value"]) == pytest.approx(0.9)


def test_the_picture_fills_the_front_and_names_it():
    svg = front_chart(points(ROWS, "trained_parameters"), title="cost", unit="parameters")
    assert svg.count("<circle") == 4
    assert svg.count(' on"') == 2
    assert 'aria-label="cost; on the front: dear 90 %; cheap 60 %"' in svg
    assert ">2k</text>" in svg
    alone = front_chart(points(ROWS, "trained_parameters"), title="c", unit="p", alone=True)
    assert "xmlns=" in alone
    assert "<style>" in alone
    assert front_chart(points(ROWS, "train_seconds"), title="c", unit="s") == ""
