"""How far runs are is read off their folders: finished, at work, stopped, not begun, waiting."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.study.run import run_study
from mtrans.study.states import progress_of, summary
from mtrans.train.run_folder import COMPLETE, RunFolder, write_settings


@pytest.fixture(scope="module")
def done(make_plan, tmp_path_factory):
    """A finished run, and a plan that grew around it."""
    folder = tmp_path_factory.mktemp("states")
    run_study(make_plan(contenders=["mean"], steps=40), folder, say=print)
    grown = make_plan(
        contenders={"mean": None, "text": {"search": {"train.learning_rate": [1e-3, 2e-3]}}},
        steps=40,
        seeds=[0, 1],
    )
    return grown, folder


def states(plan, folder):
    return {run.name.removeprefix("squares/"): run.state for run in progress_of(plan, folder)}


def test_what_is_there_and_what_is_not(done):
    plan, folder = done
    assert states(plan, folder) == {
        "mean/seed-0": "finished",
        "text/rate-0.001-seed-0": "not begun",
        "text/rate-0.002-seed-0": "not begun",
        "mean/seed-1": "not begun",
        "text, seed 1": "waits for the search",
    }
    runs = progress_of(plan, folder)
    assert summary(runs) == "1 of 5 runs finished, 3 not begun, 1 waits for the search"
    assert summary(runs[:1]) == "1 of 1 runs finished"
    assert states(replace(plan, frames=1), folder)["mean/seed-0"] == "other settings"
    sets = (plan.data[0], replace(plan.data[0], name="again", test="/another/test.jsonl"))
    asked = replace(plan, data=sets, transfer=True)
    assert states(asked, folder)["mean/seed-0"] == "answers missing"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no process tells when it began")
def test_a_run_that_is_not_over(done, tmp_path):
    plan, folder = done[0], shutil.copytree(done[1], tmp_path / "study")
    job = plan.job(plan.variants()[0], {}, 1, folder)
    run = RunFolder(folder / job.name)
    run.path.mkdir()
    write_settings(run.path, job.settings(folder))

    def now():
        return next(p for p in progress_of(plan, folder) if p.name == job.name)

    run.write_info({"status": "unfinished"})
    assert (now().state, now().step, now().steps) == ("stopped", 0, 40)
    marker = run.checkpoints / "checkpoint-16" / COMPLETE
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert (now().state, now().step, now().left) == ("stopped", 16, None)

    code = (
        "import json; from mtrans.train.run_folder import this_process;"
        "print(json.dumps(this_process()), flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        run.update(process=json.loads(child.stdout.readline()))
        assert (now().state, now().step, now().left) == ("at work", 0, None)
        lines = [{"step": 4 * n, "loss": 1.0, "seconds": 2.0 * n} for n in range(1, 8)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        run.log_file.write_text(text + '{"step": 3')  # being written
        assert (now().state, now().step) == ("at work", 28)
        assert now().left == pytest.approx(12 * 0.5)
    finally:
        child.communicate("\n")
    assert now().state == "stopped"
