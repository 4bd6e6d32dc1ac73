"""Runs answer the questions of other sets, and each row's regime is named."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.measure.predictions import read_predictions, write_predictions
from mtrans.report.study import build_study
from mtrans.study.plan_file import plan_from_dict
from mtrans.study.run import publish, run_study
from mtrans.study.transfer import transfer_csv, transfer_markdown, transfer_rows
from study.conftest import QUICK


@pytest.fixture(scope="module")
def plan(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    samples = [replace(s, type="here") for s in read_manifest(small / "train.jsonl")]
    typed = [replace(s, type="ab"[i % 2]) for i, s in enumerate(samples)]
    files = {"one": samples[:4], "two": typed[4:]}
    for name, part in files.items():
        write_manifest(folder / f"{name}.jsonl", part)
    sets = [
        {"name": name, **dict.fromkeys(("train", "test"), str(folder / f"{name}.jsonl"))}
        for name in files
    ]
    sets[1]["types"] = ["a"]
    return plan_from_dict(
        {
            "data": sets,
            "contenders": ["mean"],
            "transfer": True,
            **{"frames": 2, "steps": 1, "batch": 2, "seeds": [0]},
            "set": {**QUICK, "backbone": str(small / "backbone")},
        }
    )


def test_every_run_answers_all_sets_and_regimes_are_named(plan, tmp_path):
    results, outcomes = run_study(plan, tmp_path, say=print)
    assert [o.error for o in outcomes] == [None, None]
    rows = transfer_rows(plan, tmp_path)
    assert results.transfer == rows
    kept = json.loads((tmp_path / "results.json").read_text())["transfer"]
    assert [(r["learned"], r["regime"]) for r in kept] == [(r.learned, r.regime) for r in rows]
    page = build_study(results, tmp_path / "report.html").read_text()
    assert page.count("new scene, new task<span") == 2
    assert page.count("same scene, new task<span") == 1
    assert [(r.learned, r.asked, r.regime, r.types) for r in rows] == [
        ("one", "one", "same scene, same task", ("here",)),
        ("one", "two", "new scene, new task", ("a", "b")),
        ("two", "one", "new scene, new task", ("here",)),
        ("two", "two", "same scene, same task", ("a",)),
        ("two", "two", "same scene, new task", ("b",)),
    ]
    away = read_predictions(tmp_path / "one/mean/seed-0/predictions_on-two.jsonl")
    closed = [p for p in away if p.choices]
    right = sum(p.choice == p.label for p in closed) / len(closed)
    assert rows[1].score.value == pytest.approx(right)
    home = read_predictions(tmp_path / "two/mean/seed-0/predictions.jsonl")
    closed = [p for p in home if p.choices]
    assert rows[1].at_home.value == pytest.approx(
        sum(p.choice == p.label for p in closed) / len(closed)
    )
    assert rows[0].at_home is None
    assert (
        "| mean | one | two | new scene, new task | a, b |" in (tmp_path / "table.md").read_text()
    )
    shown = [f"{100 * row.score.value:.1f}" for row in rows]
    table = (tmp_path / "table.md").read_text()
    assert "| mean, learned on | asked of one | asked of two |" in table
    assert f"| one | {shown[0]} | {shown[1]} (both new) |" in table
    assert f"| two | {shown[2]} (both new) | {shown[3]}, {shown[4]} (new task) |" in table
    lines = list(csv.DictReader(io.StringIO(transfer_csv(rows))))
    assert float(lines[1]["value"]) == pytest.approx(right)
    said: list[str] = []
    run_study(plan, tmp_path, say=said.append)
    assert said[0] == "[2/2] 2 runs found done"
    (tmp_path / "two/mean/seed-0/predictions_on-one.jsonl").unlink()
    said.clear()
    run_study(plan, tmp_path, say=said.append)
    assert said[0] == "[1/2] 1 runs found done"
    assert len(transfer_rows(plan, tmp_path)) == 5


def test_without_the_clips_that_were_trained_on_nothing_is_said_of_the_task(
    plan, tmp_path, monkeypatch
):
    run_study(plan, tmp_path, say=print)
    there = {(r.learned, r.asked, r.regime) for r in transfer_rows(plan, tmp_path)}
    for manifest in {d.train for d in plan.data}:
        monkeypatch.setattr(
            Path, "exists", lambda p, old=Path.exists, m=manifest: str(p) != m and old(p)
        )
    found = transfer_rows(plan, tmp_path)
    assert "(new scene, task unknown)" in transfer_markdown(found)
    rows = {(r.learned, r.asked, r.regime) for r in found}
    assert {regime for learned, _, regime in rows if learned == "one"} == {
        "same scene, task unknown",
        "new scene, task unknown",
    }
    assert {r for r in rows if r[0] == "two"} == {r for r in there if r[0] == "two"}
    assert ("two", "two", "same scene, same task") in rows


def test_other_systems_stand_beside_them(plan, tmp_path):
    run_study(plan, tmp_path, say=print)
    home = read_predictions(tmp_path / "two/mean/seed-0/predictions.jsonl")
    write_predictions(tmp_path / "outside/two/image-model/predictions.jsonl", home)
    results = publish(plan, tmp_path)
    last = results.transfer[-1]
    assert (last.contender, last.learned, last.asked) == ("image-model", "nothing here", "two")
    assert (last.regime, last.types, last.at_home) == ("not trained here", ("a",), None)
    closed = [p for p in home if p.choices]
    right = sum(p.choice == p.label for p in closed) / len(closed)
    assert last.score.value == pytest.approx(right)
    page = (tmp_path / "table.md").read_text()
    assert f"| nothing here | {100 * right:.1f} |" in page.partition("| image-model, learned")[2]
