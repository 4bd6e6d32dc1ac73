"""A study's page shows what the results say, and draws a curve over what was varied."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.core.records import Score
from mtrans.measure.compare import Comparison
from mtrans.report.study import build_study, curves, pictures
from mtrans.study.plan_file import plan_from_dict
from mtrans.study.results import Results, Row, Trial


def score(value: float, n: int = 40) -> Score:
    return Score("accuracy", value, value - 0.1, value + 0.1, 0.05, n, 20, {}, 0.5)


def row(contender: str, rank: int | None, value: float, gap: float | None) -> Row:
    against = None
    if gap is not None:
        against = Comparison(
            "accuracy", 0.5, value, gap, gap - 0.05, gap + 0.05, 0.02, 0.1, 1, 2, 40, 20
        )
    return Row(
        data="talk",
        contender=contender,
        point={} if rank is None else {"lora.rank": rank},
        chosen={"train.learning_rate": 0.002},
        trials=[
            Trial({"train.learning_rate": 0.002}, 0.71, 0.4),
            Trial({"train.learning_rate": 0.004}, None, None),
        ],
        seeds=[0, 1],
        overall=score(value),
        motion=score(value - 0.2, 20),
        types={"sarcasm": score(value - 0.2, 20), "<hand>": score(value + 0.05, 20)},
        spread=0.013,
        reference=None if gap is None else "mtrans, lora.rank=4",
        against=against,
        against_motion=None,
        cost={"visual_tokens": 8.0, "trained_parameters": 1234.0, "train_seconds": 61.0},
    )


@pytest.fixture
def results() -> Results:
    plan = plan_from_dict(
        {
            "data": {"world": "talk", "train": 6, "val": 2, "test": 4},
            "contenders": ["mtrans", "text"],
            "vary": {"lora.rank": [4, 16], "model.pool": ["mean", "last"]},
            "search": {"train.learning_rate": [0.002, 0.004]},
        }
    )
    rows = [row("mtrans", 4, 0.62, None), row("mtrans", 16, 0.87, 0.25), row("text", 4, 0.5, -0.12)]
    return Results(plan, rows, ["talk/text/lora.rank-16/rate-0.002-seed-0"])


def test_the_page_says_what_was_found(results: Results, tmp_path: Path) -> None:
    page = build_study(results, tmp_path / "report.html", "ranks").read_text()
    assert "<h1>ranks</h1>" in page
    for words in (
        "Synthetic test bench",
        "mtrans, lora.rank=16",
        "<strong>87.0</strong>",
        "77.0 to 97.0",
        "±1.3",
        "+25.0",
        "\N{MINUS SIGN}12.0",
        "1.23 k",
        "71.0",
        "train.learning_rate=0.002, chosen",
        "1 runs that are not done: talk/text/lora.rank-16/rate-0.002-seed-0",
    ):
        assert words in page, words
    assert "<hand>" not in page, "other people's words must be escaped"
    assert not re.search(r"src=|<script|url\(", page)


def test_curves_are_over_numbers_only(results: Results) -> None:
    found = curves(results.plan, results.rows)
    titles = [chart["title"] for chart in found]
    assert titles == [f"{part}, over lora.rank" for part in ("all", "sarcasm", "<hand>")]
    chart = found[0]
    assert chart["names"] == ["mtrans", "text"]
    assert "mtrans 62 % at lora.rank 4, 87 % at lora.rank 16" in chart["svg"]
    assert chart["svg"].count("<circle") == 3


def test_pictures_stand_alone(results: Results) -> None:
    found = dict(pictures(results))
    assert list(found) == ["curve-talk-lora-rank.svg"]  # all rows cost the same
    assert 'aria-label="all, over lora.rank:' in found["curve-talk-lora-rank.svg"]
    assert ">text</text>" in found["curve-talk-lora-rank.svg"]
    assert 'viewBox="0 -16 ' in found["curve-talk-lora-rank.svg"]  # two names in a line above
    results.rows[0].cost["train_seconds"] = 30.0
    assert "cost-talk-train-seconds.svg" in dict(pictures(results))


def test_the_page_warns_as_the_table_does(results: Results, tmp_path: Path) -> None:
    label = results.rows[0].label
    doubtful = replace(
        results,
        absent=[("talk", "text, lora.rank=16")],
        unsettled=[("talk", label)],
        other=[("talk", label, "model.pool=last there, mean today")],
    )
    page = build_study(doubtful, tmp_path / "report.html").read_text()
    assert "train.learning_rate=0.002, 2 of 3 seeds, search not over" in page
    assert f"{label} was run with other settings than its name means today" in page
    assert "Partial. Not one run is finished of: text, lora.rank=16." in page


def test_the_page_says_what_metric_it_shows(results: Results, tmp_path: Path) -> None:
    rows = [replace(r, overall=replace(r.overall, metric="exact_match")) for r in results.rows]
    page = build_study(replace(results, rows=rows), tmp_path / "report.html").read_text()
    assert "Exact match on all questions." in page


def test_a_study_without_a_finished_run_has_a_page(results: Results, tmp_path: Path) -> None:
    empty = Results(results.plan, [], ["talk/mtrans/rate-0.002-seed-0"])
    page = build_study(empty, tmp_path / "report.html").read_text()
    assert "No run is finished" in page
