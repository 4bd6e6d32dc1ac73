"""A study's answers packed, and taken up in another folder: the same tables, nothing run again."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.core.errors import CheckpointError
from mtrans.infer.predictor import load_predictor
from mtrans.measure.predictions import read_predictions
from mtrans.study.archive import ARCHIVE, _each_line, pack, unpack
from mtrans.study.jobs import StudyError
from mtrans.study.keep import finished_runs, keep
from mtrans.study.run import run_study
from mtrans.study.tables import to_csv
from mtrans.train.run_folder import RunFolder, write_settings

RUN = "squares/mean/seed-0"


@pytest.fixture(scope="module")
def plan(make_plan):
    return make_plan(contenders=["mean"])


@pytest.fixture(scope="module")
def made(plan, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("archive") / "study"
    results, _ = run_study(plan, folder, say=print)
    return folder, results, keep(plan, folder, folder.parent / "kept", answers=True)


def test_a_restored_study_has_the_same_tables_and_runs_nothing(made, plan, tmp_path):
    folder, results, kept = made
    assert unpack(kept / ARCHIVE, tmp_path) == ([RUN], [])
    said: list[str] = []
    again, outcomes = run_study(plan, tmp_path, say=said.append)
    assert said == ["[1/1] 1 runs found done", "[1/1] 0 runs found done"][: len(said)]
    assert all(o.seconds == 0 for o in outcomes)
    assert to_csv(again) == to_csv(results)
    exact, rounded = (read_predictions(f / RUN / "predictions.jsonl") for f in (folder, tmp_path))
    for a, b in zip(exact, rounded, strict=True):
        assert (a.id, a.question, a.choice, a.answer) == (b.id, b.question, b.choice, b.answer)
        if a.log_likelihoods is not None:
            assert b.log_likelihoods == pytest.approx(a.log_likelihoods, abs=1e-5)


def test_a_text_may_hold_other_ends_of_lines():
    line = json.dumps({"id": "1", "answer": "a\u2028b\x85c"}, ensure_ascii=False) + "\n"
    assert _each_line(2 * line, str) == 2 * line


def test_a_plan_that_grew_runs_what_is_new_beside_it(made, make_plan, tmp_path):
    _, _, kept = made
    unpack(kept / ARCHIVE, tmp_path)
    before = (tmp_path / RUN / "run.json").read_bytes()
    results, outcomes = run_study(make_plan(contenders=["mean", "text"]), tmp_path, say=print)
    assert [o.error for o in outcomes] == [None, None]
    assert [o.seconds > 0 for o in outcomes] == [False, True]
    assert results.rows[1].against.n == results.rows[0].overall.n
    assert (tmp_path / RUN / "run.json").read_bytes() == before


def test_nothing_of_the_machine_is_in_it(made):
    folder, _, kept = made
    whole = lzma.decompress((kept / ARCHIVE).read_bytes()).decode(errors="replace")
    settings = RunFolder(folder / RUN).settings()
    assert settings.cache_dir is not None
    assert settings.cache_dir not in whole
    for clip in {p.video for p in read_predictions(folder / RUN / "predictions.jsonl")}:
        assert clip not in whole
        assert Path(clip).name in whole
    assert '"command"' not in whole
    assert "safetensors" not in whole.replace('"safetensors": ', "")  # but for its version


def test_clips_of_the_study_lie_below_it_again(made, tmp_path):
    folder, _, _ = made
    there = tmp_path / "there"
    run = there / RUN
    run.mkdir(parents=True)
    for name in ("run.json", "settings.yaml"):
        (run / name).write_bytes((folder / RUN / name).read_bytes())
    record = json.loads((folder / RUN / "predictions.jsonl").read_text().splitlines()[0])
    record["video"] = str(there / "data" / "a.mp4")
    (run / "predictions.jsonl").write_text(json.dumps(record) + "\n")
    bad = {"video": "/elsewhere/b.mp4", "reason": "'/elsewhere/b.mp4' has no frame", "samples": []}
    RunFolder(run).update(skipped=[bad])
    assert pack([RunFolder(run)], there, tmp_path / "one.tar.xz") == 1
    unpack(tmp_path / "one.tar.xz", tmp_path / "here")
    (found,) = read_predictions(tmp_path / "here" / RUN / "predictions.jsonl")
    assert found.video == str(tmp_path / "here" / "data" / "a.mp4")
    (skipped,) = RunFolder(tmp_path / "here" / RUN).info()["skipped"]
    assert skipped == {"video": "b.mp4", "reason": "'b.mp4' has no frame", "samples": []}


def test_a_run_of_a_machine_with_other_fast_products_is_found_done(made, make_plan, tmp_path):
    plan = make_plan(contenders=["mean"], set={"train.precision": "auto"})
    job = plan.job(plan.variants()[0], {}, 0, tmp_path)
    before = job.settings(tmp_path).train.precision
    other = {"bf16": "fp32", "fp32": "bf16"}[before]
    unpack(made[2] / ARCHIVE, tmp_path)
    run = RunFolder(tmp_path / RUN)
    kept = run.settings()
    write_settings(run.path, replace(kept, train=replace(kept.train, precision=other)))
    assert job.settings(tmp_path).train.precision == other
    run.update(status="running")  # what is not finished goes on as it is fast here
    assert job.settings(tmp_path).train.precision == before


def test_equal_runs_give_equal_bytes_and_runs_there_are_left(made, plan, tmp_path):
    folder, _, kept = made
    pack(finished_runs(plan, folder), folder, tmp_path / ARCHIVE)
    assert (tmp_path / ARCHIVE).read_bytes() == (kept / ARCHIVE).read_bytes()
    unpack(kept / ARCHIVE, tmp_path)
    (tmp_path / RUN / "settings.yaml").write_text("mine\n")
    assert unpack(kept / ARCHIVE, tmp_path) == ([], [RUN])
    assert (tmp_path / RUN / "settings.yaml").read_text() == "mine\n"
    keep(plan, folder, kept.parent / "again", answers=True)
    keep(plan, folder, kept.parent / "again")
    assert not (kept.parent / "again" / ARCHIVE).exists()  # of an earlier time


def test_a_restored_run_says_what_it_lacks(made, tmp_path):
    unpack(made[2] / ARCHIVE, tmp_path)
    with pytest.raises(CheckpointError, match=r"without its adapter.*move the folder away first"):
        load_predictor(tmp_path / RUN)


def test_what_is_no_archive_is_refused_and_nothing_is_written(made, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(StudyError, match=r"can't be read.*keep --answers"):
        unpack(tmp_path / "none.tar.xz", out)
    whole = (made[2] / ARCHIVE).read_bytes()
    for bad in (b"", b"text", whole[: len(whole) // 2], lzma.compress(b"no tar" * 200)):
        (tmp_path / "bad.tar.xz").write_bytes(bad)
        with pytest.raises(StudyError, match="is damaged") as error:
            unpack(tmp_path / "bad.tar.xz", out)
        assert "\n" not in str(error.value)
    for name in ("../run.json", "/run.json", "a/../../run.json", "run.json", "a/model.safetensors"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(name))
        (tmp_path / "bad.tar.xz").write_bytes(lzma.compress(packed.getvalue()))
        with pytest.raises(StudyError, match="no part of a run"):
            unpack(tmp_path / "bad.tar.xz", out)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("a/predictions.jsonl")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"half"))
    (tmp_path / "bad.tar.xz").write_bytes(lzma.compress(packed.getvalue()))
    with pytest.raises(StudyError, match="is damaged"):
        unpack(tmp_path / "bad.tar.xz", out)
    assert not out.exists()
