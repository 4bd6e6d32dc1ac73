"""The summary of all worlds: who leads where at what price, and whether the hypothesis held."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.core.errors import MTransError
from mtrans.report.results_ahead import ahead
from mtrans.report.results_summary import find_worlds, summary
from mtrans.study.plan import StudyPlan
from mtrans.study.plan_file import plan_from_dict, plan_to_dict


def plan(world: str, *contenders: str, **more) -> StudyPlan:
    data = {"world": world, "train": 6, "val": 2, "test": 4}
    return plan_from_dict({"data": data, "contenders": list(contenders), "frames": 4, **more})


def row(world: str, name: str, value: float, tokens: int | None = 8, **more) -> dict:
    gap = more.pop("gap", -0.05)
    score = {"metric": "accuracy", "value": value, "standard_error": 0.01, "chance": 0.25}
    against = None
    if name != "mtrans":
        against = {"metric": "accuracy", "difference": gap, "low": gap - 0.03, "high": gap + 0.03}
    return {
        "data": world,
        "contender": name,
        "point": {},
        "overall": score,
        "seeds": [0, 1, 2],
        "reference": against and "mtrans",
        "against": against,
        "cost": {} if tokens is None else {"visual_tokens": tokens, "trained_parameters": 1200.0},
        **more,
    }


def keep(results: Path, name: str, of: StudyPlan, *rows: dict, **more) -> None:
    (results / name).mkdir(parents=True)
    document = {"plan": plan_to_dict(of), "rows": rows, **more}
    (results / name / "results.json").write_text(json.dumps(document))


def page(results: Path, *plans: StudyPlan) -> str:
    return "\n".join(summary(find_worlds(results, plans)))


def test_a_world_on_which_it_leads(tmp_path: Path) -> None:
    compared = plan("talk", "mtrans", "concat", "text", "memory_bank", floors=["majority"])
    rows = [
        row("talk", "mtrans", 0.81),
        row("talk", "concat", 0.815, 32),
        row("talk", "text", 0.3, 2, seeds=[0]),
        row("talk", "majority", 0.2, None, seeds=[]),
    ]
    keep(tmp_path, "talk", compared, *rows, provisional=[["talk", "concat"]])
    found = page(tmp_path, compared)
    assert "`mtrans` is within one standard error of first on `talk`." in found
    assert (
        "| talk | 81.0 (1.0) | `concat` 81.5 (1.0) | +5.0 [+2.0, +8.0] | 8 |"
        " holds so far: 2 of 3 others run |"
    ) in found
    for line in (
        "| `concat` | 32 | 1,200 | **81.5 (1.0)** (provisional) |",
        "| `mtrans` | 8 | 1,200 | **81.0 (1.0)** |",
        "| `text` | 2 | 1,200 | 30.0 (1.0) (1 of 3 seeds) |",
        "| `majority` |  |  | 20.0 (1.0) |",
        "| `memory_bank` |  |  |  |",
        "| chance |  |  | 25.0 |",
    ):
        assert line in found, line


def test_worlds_on_which_the_hypothesis_fails(tmp_path: Path) -> None:
    ego, talk = plan("ego", "mtrans", "concat"), plan("talk", "mtrans", "mean", "hcrn")
    keep(tmp_path, "ego", ego, row("ego", "mtrans", 0.5), row("ego", "concat", 0.52, 32))
    rows = [row("talk", "mean", 0.4, 4), row("talk", "mtrans", 0.7), row("talk", "hcrn", 0.1, 0)]
    keep(tmp_path, "talk", talk, *rows)
    found = page(tmp_path, ego, talk, plan("kitchen", "mtrans", "mean"))
    assert "`mtrans` is first on `talk` and is behind on `ego`. Not run yet: `kitchen`." in found
    assert "fails: `concat` is more than one standard error ahead |" in found
    assert "fails: `mean` has fewer visual tokens |" in found
    assert "| kitchen | | | | | not run yet |" in found
    assert "| `mtrans` | 8 | 1,200 | **70.0 (1.0)** | 50.0 (1.0) |  |" in found


def test_the_study_with_most_designs_counts_and_no_ablation_or_curve(tmp_path: Path) -> None:
    few, many = plan("talk", "mtrans", "mean"), plan("talk", "mtrans", "mean", "last", name="b")
    keep(tmp_path, "a", few, row("talk", "mtrans", 0.1), row("talk", "mean", 0.1))
    rows = [row("talk", name, 0.6) for name in many.contenders]
    keep(tmp_path, "b", many, *rows)
    curve = plan("talk", "mtrans", "mean", "last", "concat", vary={"lora.rank": [1, 2]})
    keep(tmp_path, "c", curve, *(row("talk", name, 0.9) for name in curve.contenders))
    own = {"preset": "mtrans", "set": {"model.mqt": False}}
    changed = plan_from_dict(
        {"data": {"world": "talk", "train": 6, "test": 4}, "contenders": {"mtrans": own, "x": own}}
    )
    keep(tmp_path, "d", changed, row("talk", "mtrans", 0.9), row("talk", "x", 0.9))
    (world,) = find_worlds(tmp_path, [])
    assert (world.study, list(world.rows)) == ("b", ["mtrans", "mean", "last"])


def test_variants_that_are_ahead_in_other_studies_are_named(tmp_path: Path) -> None:
    compared = plan("talk", "mtrans", "mean")
    keep(tmp_path, "talk", compared, row("talk", "mtrans", 0.7), row("talk", "mean", 0.6))
    own = {"preset": "mtrans", "set": {"model.pool": "concat"}}

    def others(**more) -> StudyPlan:
        contenders = {"mtrans": None, "wide": own, "near": own}
        data = {"world": "talk", "train": 6, "val": 2, "test": 4, **more}
        return plan_from_dict({"data": data, "contenders": contenders, "frames": 4})

    rows = [row("talk", "wide", 0.76, 64, gap=0.06), row("talk", "near", 0.71, gap=0.01)]
    keep(tmp_path, "variants", others(), row("talk", "mtrans", 0.7), *rows)
    keep(tmp_path, "more-clips", others(train=60), row("talk", "mtrans", 0.7), *rows)
    lines = [line for line in ahead(tmp_path, find_worlds(tmp_path, [compared])) if line]
    assert lines[1:] == [
        "- `talk`: `wide` of [variants](#variants), 76.0 %, 64 visual tokens:"
        " +6.0 [+3.0, +9.0] against `mtrans` there."
    ]
    keep(tmp_path / "b", "talk", compared, row("talk", "mtrans", 0.7))
    assert ahead(tmp_path / "b", find_worlds(tmp_path / "b", [compared])) == []


def test_without_a_kept_comparison_there_is_no_summary_and_damage_is_named(tmp_path: Path) -> None:
    assert summary(find_worlds(tmp_path, [plan("talk", "mtrans", "mean")])) == []
    (tmp_path / "x").mkdir()
    (tmp_path / "x/results.json").write_text("{")
    with pytest.raises(MTransError, match=r"results.json' is damaged .* again"):
        find_worlds(tmp_path, [])
