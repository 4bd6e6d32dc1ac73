"""Connectors are contenders by name, and a budget brings their sizes together."""

from __future__ import annotations

from mtrans.study.run import run_study
from mtrans.study.tables import markdown


def test_connectors_in_one_study_at_one_budget(make_plan, tmp_path):
    plan = make_plan(contenders=["mqt", "stc", "hcrn"], vary={"model.budget": [90_000]})
    results, outcomes = run_study(plan, tmp_path)
    assert [o.error for o in outcomes] == [None] * 3
    cost = {row.contender: row.cost for row in results.rows}
    assert {name: c["visual_tokens"] for name, c in cost.items()} == {"mqt": 4, "stc": 1, "hcrn": 0}
    sizes = [c["trained_parameters"] for c in cost.values()]
    assert max(sizes) < 1.3 * min(sizes)
    shown = markdown(results)
    assert all(
        f"| {name} |" in shown and f"{cost[name]['trained_parameters']:,.0f}" in shown
        for name in cost
    )
    again = run_study(plan, tmp_path)[1]
    assert [o.seconds for o in again] == [0.0] * 3  # found done: the same sizes were chosen
