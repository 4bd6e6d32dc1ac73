"""Operations that a run lacks are those that it would have counted."""

from __future__ import annotations

from mtrans.study.count import COUNTED, count_missing
from mtrans.study.run import run_study
from mtrans.train.run_folder import RunFolder


def test_a_run_without_operations_gets_the_same_again(make_plan, tmp_path):
    plan = make_plan(contenders=["mean"])
    results, _ = run_study(plan, tmp_path, say=print)
    run = RunFolder(tmp_path / "squares/mean/seed-0")
    before = run.info()
    old = {k: v for k, v in before["cost"].items() if k not in COUNTED}
    run.update(cost=old)
    entered = count_missing(plan, tmp_path)
    assert entered == {"squares/mean/seed-0": before["cost"]["training_flops"]}
    assert run.info() == before
    assert results.rows[0].cost["training_flops"] == before["cost"]["training_flops"]
    assert count_missing(plan, tmp_path) == {}
