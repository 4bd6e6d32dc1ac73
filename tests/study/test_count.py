"""What a run lacks of its cost is what it would have counted."""

from __future__ import annotations

import pytest

from mtrans.study.count import COUNTED, TIMED, fill_costs
from mtrans.study.run import run_study
from mtrans.study.tables import markdown
from mtrans.train.run_folder import RunFolder


def test_a_run_without_a_count_gets_the_same_again(make_plan, tmp_path):
    plan = make_plan(contenders=["mean"])
    results, _ = run_study(plan, tmp_path, say=print)
    run = RunFolder(tmp_path / "squares/mean/seed-0")
    before = run.info()
    first, whole = (before["cost"][name] for name in TIMED[:2])
    assert 0 < first < 10_000
    assert 0 < whole < 10_000
    run.update(cost={k: v for k, v in before["cost"].items() if k not in (*COUNTED, *TIMED)})
    assert fill_costs(plan, tmp_path) == ["squares/mean/seed-0"]
    after = run.info()
    for name in (*COUNTED, "answer_flops"):  # seconds are others every time
        assert after["cost"][name] == before["cost"][name]
    assert after["cost"].keys() == before["cost"].keys()
    assert fill_costs(plan, tmp_path) == []
    (row,) = results.rows
    assert row.cost["answer_ms"] == pytest.approx(whole)
    heads, _, line, *_ = markdown(results)[markdown(results).index("| cost |") :].splitlines()
    shown = dict(zip(heads.split(" | "), line.split(" | "), strict=True))
    assert shown["ms to first token"] == f"{first:.0f}"
    assert shown["all parameters"] == f"{before['cost']['total_parameters']:,}"
    assert shown["GFLOPs, answer"] == f"{before['cost']['answer_flops'] / 1e9:.3g}"
