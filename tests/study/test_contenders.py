"""A small study runs, is found again, and its table says what its predictions say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.measure.predictions import read_predictions
from mtrans.study.contenders import Job, Plan, choose_rate, run, table
from mtrans.train.run_folder import RunFolder

PLAN = Plan(
    worlds=("talk",),
    contenders=("mtrans", "text"),
    train=5,
    val=3,
    test=4,
    seeds=(0, 1),
    rates=(1e-3, 4e-3),
    steps=2,
    batch=4,
    precision="fp32",
    overrides=("lora.rank=2",),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("study")
    return folder, run(PLAN, folder)


def test_all_runs_are_there_and_only_those(study):
    folder, rows = study
    made = {str(p.parent.relative_to(folder)) for p in folder.rglob("run.json")}
    searched = {Job("talk", c, 0, r).name for c in PLAN.contenders for r in PLAN.rates}
    chosen = {row.contender: row.rate for row in rows["talk"]}
    assert made == searched | {Job("talk", c, 1, chosen[c]).name for c in PLAN.contenders}


def test_the_rate_is_the_best_on_validation(study):
    folder, _ = study
    rate = choose_rate(PLAN, folder, "talk", "mtrans")
    best = {
        r: RunFolder(folder / Job("talk", "mtrans", 0, r).name).info()["best"] for r in PLAN.rates
    }
    assert best[rate]["accuracy"] == max(b["accuracy"] for b in best.values())


def test_scores_are_those_of_the_predictions(study):
    folder, rows = study
    for row in rows["talk"]:
        found = [
            p
            for seed in PLAN.seeds
            for p in read_predictions(
                folder / Job("talk", row.contender, seed, row.rate).name / "predictions.jsonl"
            )
        ]
        right = sum(p.choice == p.label for p in found) / len(found)
        assert row.scores["all"].value == pytest.approx(right)
        assert row.scores["all"].clusters == PLAN.test
        assert f"{100 * right:.1f}" in table(PLAN, rows)
    first, second = rows["talk"]
    assert first.difference is None
    gap = second.scores["all"].value - first.scores["all"].value
    assert second.difference["difference"] == pytest.approx(gap)


def test_what_is_done_is_found_again(study):
    folder, rows = study
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("adapter/*")}
    assert run(PLAN, folder) == rows
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("adapter/*")} == before


def test_another_plan_in_the_same_folder_is_refused(study):
    from mtrans.core.errors import CheckpointError

    folder, _ = study
    with pytest.raises(CheckpointError, match=r"train\.max_steps"):
        run(replace(PLAN, steps=3), folder)
