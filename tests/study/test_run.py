"""A small study runs, is found again, and its table says what its predictions say."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.core.errors import CheckpointError, ManifestError, SettingsError
from mtrans.measure.predictions import read_predictions
from mtrans.study.collect import collect
from mtrans.study.grid import FAILURES, Outcome, failures, run_jobs
from mtrans.study.jobs import StudyError
from mtrans.study.keep import keep
from mtrans.study.plan_file import write_plan
from mtrans.study.run import execute, load_study, run_study
from mtrans.study.tables import markdown, to_csv
from mtrans.train.run_folder import RunFolder

RATE = "train.learning_rate"


@pytest.fixture(scope="module")
def plan(make_plan):
    return make_plan(
        contenders={"mtrans": None, "text": {"search": {RATE: [2e-3]}}},
        search={RATE: [1e-3, 4e-3]},
        seeds=[0, 1],
    )


@pytest.fixture(scope="module")
def study(plan, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("study")
    results, outcomes = run_study(plan, folder, say=print)
    assert failures(outcomes, folder) is None
    return folder, results


def test_all_runs_are_there_and_only_those(study):
    folder, results = study
    made = {str(p.parent.relative_to(folder)) for p in folder.rglob("run.json")}
    rate = results.rows[0].chosen[RATE]
    assert made == {
        "squares/mtrans/rate-0.001-seed-0",
        "squares/mtrans/rate-0.004-seed-0",
        f"squares/mtrans/rate-{rate:g}-seed-1",
        "squares/text/rate-0.002-seed-0",
        "squares/text/rate-0.002-seed-1",
    }
    assert results.missing == []


def test_the_choice_is_the_best_on_validation(study):
    folder, results = study
    row = results.rows[0]
    bests = {
        rate: RunFolder(folder / f"squares/mtrans/rate-{rate:g}-seed-0").info()["best"]
        for rate in (1e-3, 4e-3)
    }
    assert {t.values[RATE]: t.accuracy for t in row.trials} == {
        rate: best["accuracy"] for rate, best in bests.items()
    }
    merit = {rate: (best["accuracy"], -best["loss"]) for rate, best in bests.items()}
    assert merit[row.chosen[RATE]] == max(merit.values())
    assert results.rows[1].trials == []


def test_scores_are_those_of_the_predictions(study):
    folder, results = study
    page = markdown(results)
    right = {}
    for row in results.rows:
        name = f"squares/{row.contender}/rate-{row.chosen[RATE]:g}-seed-"
        by_seed = [read_predictions(folder / f"{name}{s}" / "predictions.jsonl") for s in (0, 1)]
        found = [p for part in by_seed for p in part if p.choices]
        right[row.contender] = sum(p.choice == p.label for p in found) / len(found)
        assert row.overall.value == pytest.approx(right[row.contender])
        assert (row.overall.n, row.overall.clusters) == (16, 8)
        assert row.motion == row.types["way"] == row.overall
        assert row.cost["visual_tokens"] > 0
        assert f"| {row.contender} | {100 * right[row.contender]:.1f} [" in page
    first, second = results.rows
    assert first.against is None
    assert second.reference == "mtrans"
    assert second.against is not None
    assert second.against.difference == pytest.approx(right["text"] - right["mtrans"])
    lines = list(csv.DictReader(io.StringIO(to_csv(results))))
    assert [line["contender"] for line in lines] == ["mtrans", "text"]
    assert float(lines[1]["all"]) == pytest.approx(right["text"])
    assert lines[1][RATE] == "0.002"


def test_what_is_done_is_found_again(study, plan):
    folder, results = study
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("adapter/*")}
    said: list[str] = []
    again, _ = run_study(plan, folder, say=said.append)
    assert again == results == collect(load_study(folder), folder)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("adapter/*")} == before
    assert said == ["[4/5] 4 runs found done", "[5/5] 1 runs found done"]
    document = json.loads((folder / "results.json").read_text())
    assert document["rows"][1]["overall"]["value"] == results.rows[1].overall.value


def test_another_budget_in_the_same_folder_is_refused(study, plan):
    folder, _ = study
    with pytest.raises(CheckpointError, match=r"train\.max_steps: 2 there, 3 here"):
        run_study(replace(plan, steps=3), folder)


@pytest.mark.parametrize("cut", [False, True])
def test_lost_answers_are_given_again_and_a_part_is_measured_meanwhile(study, plan, tmp_path, cut):
    folder = tmp_path / "study"
    shutil.copytree(study[0], folder)
    lost = folder / "squares/text/rate-0.002-seed-1"
    file = lost / "predictions.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2]) if cut else file.unlink()
    part = collect(plan, folder)
    assert part.missing == ["squares/text/rate-0.002-seed-1"]
    assert part.rows[1].seeds == [0]
    assert part.rows[1].against.n == 8
    assert "1 runs are not done" in markdown(part)
    assert "| text (1 of 2 seeds) |" in markdown(part)
    weights = (lost / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    results, _ = run_study(plan, folder, say=print)
    assert results.rows == study[1].rows
    assert (lost / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == weights


def test_a_failed_run_stops_no_other_and_is_named(make_plan, tmp_path, capsys):
    bad = {"preset": "mtrans", "set": {RATE: 1e38, "train.schedule": "constant"}}
    plan = make_plan(contenders={"wild": bad, "text": None}, seeds=[0, 1])
    results, outcomes = run_study(plan, tmp_path)
    failed = failures(outcomes, tmp_path)
    assert isinstance(failed, StudyError)
    assert "squares/wild/seed-0: " in str(failed)
    assert [row.contender for row in results.rows] == ["text"]
    assert "squares/wild/seed-0" in results.missing
    assert "squares/wild/seed-0\n" in (tmp_path / FAILURES).read_text()
    assert "failed: " in capsys.readouterr().err


def test_what_an_answer_costs_is_there_before_the_answers_are(plan, study, tmp_path, monkeypatch):
    """A run whose answers are complete counts as done: nothing may be left to do after them."""
    job = plan.job(plan.variants()[0], {RATE: 1e-3}, 0, study[0])
    run = RunFolder(shutil.copytree(study[0], tmp_path / "study") / job.name)
    cost = {k: v for k, v in run.info()["cost"].items() if k != "first_token_ms"}
    run.update(cost=cost)
    run.predictions().unlink()

    def stopped(*_, **__):
        raise CheckpointError("stopped here")

    monkeypatch.setattr("mtrans.infer.evaluate.evaluate", stopped)
    (outcome,) = run_jobs([job], tmp_path / "study")
    assert outcome.error == "stopped here"
    assert run.info()["cost"]["first_token_ms"] > 0


def test_a_run_whose_process_was_killed_is_tried_once_more(make_plan, tmp_path, monkeypatch):
    plan = make_plan(contenders={"mtrans": {"search": {RATE: [1e-3, 4e-3]}}}, seeds=[0])
    asked: list[list[str]] = []

    def killed_once(jobs, *_, **__):
        asked.append([job.name for job in jobs])
        first = len(asked) == 1
        return [Outcome(job, killed=first and "0.004" in job.name, error="x") for job in jobs]

    monkeypatch.setattr("mtrans.study.run.run_jobs", killed_once)
    outcomes = execute(plan, tmp_path)
    names = [f"squares/mtrans/rate-{rate}-seed-0" for rate in ("0.001", "0.004")]
    assert asked == [names, names[1:], []]
    assert [o.job.name for o in outcomes] == names


def test_contradictions_are_found_before_anything_runs(make_plan, tmp_path):
    plan = make_plan(contenders=["mtrans"], vary={"model.mqt": [True, False]})
    with pytest.raises(SettingsError, match=r"squares/mtrans/model\.mqt-false/seed-0: .*routing"):
        run_study(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_side_by_side_and_fewer_clips(make_plan, tmp_path):
    plan = make_plan(contenders=["mtrans"], vary={"clips": [2, 5]})
    jobs = [plan.job(v, {}, 0, tmp_path) for v in plan.variants()]
    few, more = ({s.video for s in job.split("train")} for job in jobs)
    assert (len(few), len(more)) == (2, 5)
    assert few < more
    outcomes = run_jobs(jobs, tmp_path, workers=2)
    assert [o.error for o in outcomes] == [None, None]
    assert [o.job for o in outcomes] == jobs
    for job, clips in zip(jobs, (2, 5), strict=True):
        data = RunFolder(tmp_path / job.name).info()["data"]
        assert (data["train"]["videos"], data["val"]["videos"]) == (clips, 8)
    rows = collect(plan, tmp_path).rows
    assert [row.point for row in rows] == [{"clips": 2}, {"clips": 5}]
    assert rows[1].reference == "mtrans, clips=2"


LONG_STUDY = """
import sys
from mtrans.study.plan_file import read_plan
from mtrans.study.run import run_study
if __name__ == "__main__":
    run_study(read_plan(sys.argv[1]), sys.argv[2], workers=2)
"""


@pytest.mark.slow
def test_a_stop_signal_to_the_main_process_alone_ends_its_workers(make_plan, tmp_path):
    """Two runs of hours: waited for, they would not be over in a minute."""
    plan = make_plan(contenders=["mean", "last"], steps=10**6)
    write_plan(plan, tmp_path / "plan.yaml")
    (tmp_path / "main.py").write_text(LONG_STUDY)
    words = [sys.executable, tmp_path / "main.py", tmp_path / "plan.yaml", tmp_path / "out"]
    main = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        runs = [RunFolder(tmp_path / f"out/squares/{name}/seed-0") for name in ("mean", "last")]
        until = time.monotonic() + 120
        while not all(run.log_file.exists() for run in runs) and time.monotonic() < until:
            time.sleep(0.2)
        workers = [run.info()["process"]["id"] for run in runs]
        main.send_signal(signal.SIGINT)
        assert main.wait(timeout=60) != 0
        left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        until = time.monotonic() + 10
        while left and time.monotonic() < until:  # the system clears them away by itself
            left = [pid for pid in left if Path(f"/proc/{pid}").exists()]
        assert left == []
        assert [run.state() for run in runs] == ["unfinished", "unfinished"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(main.pid, signal.SIGKILL)
        main.wait()


def test_what_is_kept_of_a_study_holds_its_figures_and_no_answers(plan, study, tmp_path):
    folder, results = study
    kept = keep(plan, folder, tmp_path / "kept")
    names = {p.name for p in kept.iterdir()}
    assert {"table.md", "table.csv", "results.json", "provenance.json"} <= names
    rows = json.loads((kept / "results.json").read_text())["rows"]
    assert len(rows) == len(results.rows)
    assert not list(kept.rglob("predictions*"))
    assert not list(kept.rglob("*.safetensors"))
    facts = json.loads((kept / "provenance.json").read_text())
    named = sum(
        bool((RunFolder(p.parent).info().get("git") or {}).get("commit"))
        for p in folder.rglob("run.json")
    )
    assert facts["without_commit"] == facts["runs"] - named


def test_a_plan_of_an_earlier_time_is_not_kept(plan, study, tmp_path):
    folder, _ = study
    place = tmp_path / "kept"
    place.mkdir()
    (place / "study.yaml").write_text("name: another\n")
    own = replace(plan, data=tuple(replace(d, world=None) for d in plan.data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mtrans.study.keep.provenance", lambda *_: {})  # runs are named after data
        patch.setattr("mtrans.study.keep.tables_of", lambda *_: folder)
        keep(own, folder, place)
    assert not (place / "study.yaml").exists()


def test_a_manifest_that_is_not_there_is_found_before_anything_is_made(tmp_path, make_plan):
    plan = make_plan(contenders={"text": None}, seeds=[0])
    (data,) = plan.data
    gone = replace(data, world=None, train="no/train.jsonl", val=None, test="no/test.jsonl")
    with pytest.raises(ManifestError, match=r"no/train\.jsonl"):
        run_study(replace(plan, data=(gone,)), tmp_path / "study", say=print)
    assert not (tmp_path / "study").exists()
