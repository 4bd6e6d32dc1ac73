"""Several plans in one folder: what one has run the other finds; floors; parts of data."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.measure.predictions import read_predictions
from mtrans.study.collect import collect
from mtrans.study.draw import draw
from mtrans.study.parts import Data
from mtrans.study.plan_file import plan_from_dict
from mtrans.study.run import load_studies, run_study
from mtrans.study.tables import markdown
from mtrans.train.run_folder import RunFolder


@pytest.fixture(scope="module")
def folder(make_plan, tmp_path_factory) -> Path:
    """Runs a study of one contender, then one of two in the same folder that varies the rank."""
    out: Path = tmp_path_factory.mktemp("shared")
    run_study(make_plan(contenders=["mean"]), out, say=print)
    return out


@pytest.fixture(scope="module")
def grown(make_plan):
    return make_plan(
        name="more",
        contenders={"mean": None, "text": None},
        vary={"lora.rank": [2, 3]},
        floors=["svm-text"],
    )


def test_a_contender_is_added_without_doing_the_others_again(folder, grown):
    before = {p: p.stat().st_mtime_ns for p in folder.glob("squares/mean/seed-0/adapter/*")}
    assert before
    said: list[str] = []
    results, outcomes = run_study(grown, folder, say=said.append)
    assert [o.error for o in outcomes] == [None] * 4
    assert said[0] == "[1/4] 1 runs found done"
    assert {p: p.stat().st_mtime_ns for p in folder.glob("squares/mean/seed-0/adapter/*")} == before
    made = {str(p.parent.relative_to(folder)) for p in folder.rglob("run.json")}
    assert made == {
        "squares/mean/seed-0",
        "squares/text/seed-0",
        "squares/mean/lora.rank-3/seed-0",
        "squares/text/lora.rank-3/seed-0",
    }
    assert [plan.name for plan in load_studies(folder)] == [None, "more"]
    assert len((folder / "table.md").read_text().splitlines()) < len(
        (folder / "tables/more/table.md").read_text().splitlines()
    )
    svm = results.rows[-1]
    assert (svm.contender, svm.seeds, svm.reference) == ("svm-text", [], "mean, lora.rank=2")
    answers = read_predictions(folder / "squares/svm-text/predictions.jsonl")
    closed = [p for p in answers if p.choices]
    right = sum(p.choice == p.label for p in closed) / len(closed)
    assert svm.overall.value == pytest.approx(right)


def test_a_partial_table_names_what_it_lacks(folder, grown, make_plan):
    more = make_plan(contenders=["mean", "last"], seeds=[0, 1])
    results = collect(more, folder)
    page = markdown(results)
    assert "**Partial.** Not one run is finished of: last." in page
    assert "| mean (1 of 2 seeds) |" in page
    assert "3 runs are not done" in page
    first = RunFolder(folder / "squares/mean/seed-0").info()["cost"]
    assert f"| {first['trained_parameters']:,.0f} |" in page
    assert f"| {first['peak_memory_mb']:,.0f} |" in page


def test_other_settings_are_moved_away_if_wished(make_plan, tmp_path):
    plan = make_plan(contenders=["mean"])
    run_study(plan, tmp_path, say=print)
    other = make_plan(contenders=["mean"], steps=1)
    _, outcomes = run_study(other, tmp_path, fresh=True, say=print)
    assert [o.error for o in outcomes] == [None]
    place = tmp_path / "squares/mean"
    steps = {p.name: RunFolder(p).info()["steps"] for p in place.iterdir()}
    assert steps == {"seed-0": 1, "seed-0.old-1": 2}


def test_other_test_questions_and_a_damaged_run_can_be_moved_away(make_plan, small, tmp_path):
    plan = make_plan(contenders=["mean"])
    run_study(plan, tmp_path / "study", say=print)
    lines = (small / "train.jsonl").read_text().replace('"clips/', f'"{small}/clips/').splitlines()
    (tmp_path / "fewer.jsonl").write_text("\n".join(lines[:3]) + "\n")
    data = (dataclasses.replace(plan.data[0], test=str(tmp_path / "fewer.jsonl")),)
    other = dataclasses.replace(plan, data=data)
    with pytest.raises(CheckpointError, match=r"answered other test questions .*, 3 here.*--fresh"):
        run_study(other, tmp_path / "study", say=print)
    results, outcomes = run_study(other, tmp_path / "study", fresh=True, say=print)
    assert [o.error for o in outcomes] == [None]
    assert results.rows[0].overall.n <= 3
    run = tmp_path / "study/squares/mean/seed-0"
    (run / "run.json").write_text('{"status": "fini')
    with pytest.raises(CheckpointError, match=r"run\.json' is damaged.*--fresh"):
        run_study(other, tmp_path / "study", say=print)
    run_study(other, tmp_path / "study", fresh=True, say=print)
    assert RunFolder(run).info()["status"] == "finished"
    assert {p.name for p in run.parent.iterdir()} == {"seed-0", "seed-0.old-1", "seed-0.old-2"}


def test_clips_once_drawn_stay_as_they_are(tmp_path):
    data = Data(name="talk", world="talk", train=3, test=1)
    draw((data,), tmp_path)
    file = tmp_path / "data/talk/train.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[0]["facts"]["written by"] = "an older version"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    draw((data,), tmp_path)
    assert "an older version" in file.read_text()
    draw((Data(name="talk", world="talk", train=4, test=1),), tmp_path)
    assert "an older version" not in file.read_text()
    assert len({s.video for s in read_manifest(file)}) == 4
    with pytest.raises(SettingsError, match="seed=0"):
        draw((Data(name="talk", world="talk", train=3, test=1, seed=5),), tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"floors": ["svm"]}, "unknown floor 'svm'"),
        ({"name": "a/b"}, "names a folder"),
        ({"data": {"name": "tables", "train": "a", "test": "b"}}, "folder of the study itself"),
        ({"data": {"world": "talk", "train": 3, "test": 1, "clips_of": "x"}}, "clips_of=x"),
    ],
)
def test_mistakes_are_named(changes, words):
    data = {"world": "talk", "train": 3, "test": 1}
    with pytest.raises(SettingsError, match=re.escape(words)):
        plan_from_dict({"data": data, "contenders": ["mtrans"], **changes})


def test_types_are_asked_in_training_alone(small, tmp_path):
    samples = read_manifest(small / "train.jsonl")
    kinds = ["which", "other"]
    named = [type(s)(**{**s.__dict__, "type": kinds[i % 2]}) for i, s in enumerate(samples)]
    file = tmp_path / "typed.jsonl"
    write_manifest(file, named)
    data = {"name": "typed", "train": str(file), "test": str(file), "types": ["other"]}
    plan = plan_from_dict({"data": data, "contenders": ["mean"], "seeds": [0]})
    job = plan.job(plan.variants()[0], {}, 0, tmp_path)
    assert {s.type for s in job.split("train")} == {"other"}
    assert {s.type for s in job.split("test")} == set(kinds)
