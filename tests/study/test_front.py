"""What is on the Pareto front, in numbers and in the picture."""

from __future__ import annotations

import csv
import io
import re

import pytest

from mtrans.core.records import Score
from mtrans.report.pareto import front_chart
from mtrans.study.front import cost_csv, points
from mtrans.study.plan_file import plan_from_dict
from mtrans.study.results import Results, Row


def row(contender: str, value: float, point: dict | None = None, **cost: float) -> Row:
    score = Score("accuracy", value, value - 0.02, value + 0.02, 0.01, 40, 20, {}, 0.5)
    empty = {"chosen": {}, "trials": [], "types": {}, "motion": None, "spread": None}
    others = {"reference": None, "against": None, "against_motion": None}
    return Row(
        data="talk",
        contender=contender,
        point=point or {},
        seeds=[0],
        overall=score,
        cost=cost,
        **empty,
        **others,
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
    assert [p.front for p in found] == [True, True, False, False]
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
    assert all(f">{name}</text>" in svg for name in ("dear", "cheap", "bad"))
    alone = front_chart(points(ROWS, "trained_parameters"), title="c", unit="p", alone=True)
    assert "xmlns=" in alone
    assert "<style>" in alone
    assert front_chart(points(ROWS, "train_seconds"), title="c", unit="s") == ""


def test_a_curve_is_named_once_and_its_dots_say_what_is_varied():
    rows = [
        row("ours", 0.6, {"model.budget": 30_000}, trained_parameters=30_500.0),
        row("ours", 0.8, {"model.budget": 125_000}, trained_parameters=124_000.0),
        row("other", 0.5, {"model.budget": 125_000}, trained_parameters=125_500.0),
    ]
    found = points(rows, "trained_parameters")
    assert [p.tag for p in found] == ["30k", "125k", "125k"]
    svg = front_chart(found, title="c", unit="p")
    names = re.findall(r"<text[^>]*font-size[^>]*>([^<]*)</text>", svg)
    assert names == ["ours", "other", "30k", "125k", "125k"]
    assert svg.count('class="dot s0') == 2
    assert svg.count('class="dot s1') == 1


def test_names_of_dots_do_not_cover_each_other_where_there_is_room():
    rows = [
        row(f"design{i}", 0.5 + 0.001 * i, trained_parameters=1000.0 + 300 * (i % 3))
        for i in range(9)
    ]
    found = points([*rows, row("best", 0.9, trained_parameters=9000.0)], "trained_parameters")
    svg = front_chart(found, title="c", unit="p")
    placed = re.findall(r'<text x="([^"]+)" y="([^"]+)" style="font-size', svg)
    assert len(placed) == len(set(placed)) == 10


def test_a_narrow_range_of_costs_has_numbers_on_its_axis():
    near = [row("a", 0.6, train_seconds=488.0), row("b", 0.7, train_seconds=521.0)]
    svg = front_chart(points(near, "train_seconds"), title="c", unit="s")
    assert ">490</text>" in svg
    assert ">520</text>" in svg
