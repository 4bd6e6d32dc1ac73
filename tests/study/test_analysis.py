"""What is kept of a study's analyses comes from its runs: answers, and what commands left there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.app.findings import main
from mtrans.core.errors import MTransError
from mtrans.core.files import file_hash
from mtrans.measure.analyze import SCHEMA as ANALYSIS_SCHEMA
from mtrans.measure.directions import directions
from mtrans.measure.predictions import read_predictions, write_predictions
from mtrans.study.analysis import MASKS, SEEN, collect_analysis
from mtrans.study.plan import StudyPlan
from mtrans.study.plan_file import plan_from_dict
from report.run_folder_factory import make_run

SKILL = {"moving_direction": 0.8, "moving_count": 0.5}


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    data = {"name": "physics", "train": "train.jsonl", "test": "test.jsonl"}
    made = {"data": data, "contenders": ["mtrans", "text"], "seeds": [0, 1]}
    return plan_from_dict(made)


def finish(file: Path) -> None:
    file.with_suffix(".meta.json").write_text(json.dumps({"finished": "2026-01-01", "data": {}}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for contender, seed in (("mtrans", 0), ("mtrans", 1), ("text", 0)):
        run = make_run(tmp_path / "physics" / contender / f"seed-{seed}", skill=SKILL, seed=seed)
        finish(run / "predictions.jsonl")
    return tmp_path


def test_seeds_are_pooled_and_folders_are_searched(plan: StudyPlan, folder: Path) -> None:
    run = folder / "physics/mtrans/seed-1"
    answers = read_predictions(run / "predictions.jsonl")
    (run / "order").mkdir()
    for name in ("clean", "reverse-5", "shuffle-5"):
        write_predictions(run / "order" / f"{name}.jsonl", answers)
    finish(run / "order" / "reverse-5.jsonl")  # the other one is still being made
    (run / "ood.json").write_text(json.dumps({"schema": 1, "known": 9, "rows": []}))
    part = {key: 0.5 for key in SEEN} | {"errors": {"reasoning": 3}, "answers": {"accuracy": 0.9}}
    asked = {"parts": {"perception": {**part, "image_model": part}}, "schema": ANALYSIS_SCHEMA}
    asked["sha256"] = file_hash(run / "predictions.jsonl")
    (run / "analysis.json").write_text(json.dumps(asked))
    other = folder / "physics/mtrans/seed-0/analysis.json"  # of other predictions
    other.write_text(json.dumps({**asked, "sha256": "0"}))
    router = {key: key for key in MASKS} | {"seeds": {}}
    (folder / "tables" / "connectors").mkdir(parents=True)
    (folder / "tables" / "connectors" / "routing.json").write_text(
        json.dumps([{"contender": "mtrans", "layers": [router]}])
    )
    found = collect_analysis(plan, folder)
    assert found["contenders"]["mtrans"]["masks"] == [{key: key for key in MASKS}]
    assert "masks" not in found["contenders"]["text"]
    assert set(found["contenders"]) == {"mtrans", "text"}
    assert found["made"] == {"commits": ["0123456"], "date": "2026-01-02"}
    mtrans = found["contenders"]["mtrans"]
    assert mtrans["seeds"] == [0, 1]
    single = directions(answers)
    assert single is not None
    assert mtrans["directions"]["n"] == 2 * single["n"]
    assert mtrans["senses"][1] == pytest.approx(single["sense"])
    assert [r["name"] for r in mtrans["temporal"]["rows"]] == ["reverse"]
    assert mtrans["temporal"]["by_seed"] == {1: 0.0}  # the same answers: order changes nothing
    assert mtrans["ood"] == {"seed": 1, "known": 9, "rows": []}
    assert set(mtrans["perception"]) == {1}
    assert mtrans["perception"][1]["image_model"]["stills"] == {"accuracy": 0.9}
    assert "ood" not in found["contenders"]["text"]
    assert mtrans["calibration"]["scores"]["raw"][0]["n"] == 240


def test_the_page_is_made_from_what_was_collected(
    plan: StudyPlan, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mtrans.study.plan_file import write_plan

    write_plan(plan, folder / "study.yaml")
    out = folder / "results" / "analysis"
    assert main(["collect", str(folder), str(out)]) == 0
    assert capsys.readouterr().out.strip().endswith("physics.json")
    assert main(["write", str(out.parent)]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# Findings")
    assert "Analyses of `physics`: runs of 2026-01-02 of commit 0123456." in page
    assert "How far confidence can be trusted (`physics`)" in page


def test_nothing_finished_is_said(plan: StudyPlan, tmp_path: Path) -> None:
    with pytest.raises(MTransError, match="no finished run"):
        collect_analysis(plan, tmp_path)


def test_several_data_sets_are_not_mixed(tmp_path: Path) -> None:
    sets = [{"name": name, "train": "a.jsonl", "test": "b.jsonl"} for name in ("physics", "talk")]
    plan = plan_from_dict({"data": sets, "contenders": ["mtrans"]})
    with pytest.raises(MTransError, match=r"several data sets \(physics, talk\)"):
        collect_analysis(plan, tmp_path)
