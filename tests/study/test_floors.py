"""Majority and shortcut floor: they answer from containers and counts, and from nothing else."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.measure.metrics import is_right
from mtrans.measure.predictions import read_predictions, write_predictions
from mtrans.study.floor_rows import floor_rows
from mtrans.study.floors import check_nuisance, container_facts, majority, shortcut
from mtrans.study.results import Results
from mtrans.study.tables import markdown


def yes_no(i: int, yes: bool, **more) -> Sample:
    more = {"video": f"/c/{i}.mp4", **more}
    return Sample(
        str(i), question="q", choices=("yes", "no"), answer="yes" if yes else "no",
        label=0 if yes else 1, **more,
    )  # fmt: skip


def test_majority_is_the_commonest_answer_of_each_type_in_training():
    train = [yes_no(i, i < 7, type="a") for i in range(10)]
    train += [yes_no(i, False, type="b") for i in range(10, 12)]
    test = [yes_no(20, False, type="a"), yes_no(21, False, type="b"), yes_no(22, True, type="c")]
    found = majority(train, test)
    assert [p.answer for p in found] == ["yes", "no", "yes"]
    assert found[0].probabilities == pytest.approx((0.7, 0.3))
    assert found[2].probabilities == (0.5, 0.5)
    assert [p.id for p in found] == ["20", "21", "22"]


def test_majority_of_own_candidates_is_a_place_and_of_open_ones_a_text():
    def choose(i: int, label: int) -> Sample:
        names = tuple(f"{word}{i}" for word in "abc")
        return Sample(f"c{i}", None, "q", choices=names, label=label, answer=names[label], type="m")

    def free(i: int, answer: str) -> Sample:
        return Sample(f"o{i}", None, "q", answer=answer, type="o")

    train = [choose(1, 2), choose(2, 2), choose(3, 0), free(4, "red"), free(5, "red"), free(6, "x")]
    found = majority(train, [choose(7, 1), free(8, "blue")])
    assert [p.answer for p in found] == ["c7", "red"]
    assert found[1].target == "blue"


def test_shortcut_learns_a_container_fact_and_a_nuisance_but_not_noise():
    samples = [yes_no(i, i % 2 == 0, speaker="ann" if i % 2 == 0 else "bob") for i in range(60)]
    train, test = samples[:40], samples[40:]
    alike = {s.video or "": {"width": 320, "codec": "h264"} for s in samples}
    telling = {v: {"width": 320 if i % 2 else 480} for i, v in enumerate(alike)}
    named = {v: {"codec": "h264" if i % 2 else "av1"} for i, v in enumerate(alike)}

    def share(facts, nuisance=()):
        return sum(map(is_right, shortcut(train, test, facts, nuisance))) / len(test)

    assert share(telling) == 1
    assert share(named) == 1
    assert share(alike, ["speaker"]) == 1
    assert share(alike) == 0.5


def test_facts_come_from_the_container(small):
    video = str(small / "clips" / "0.mp4")
    facts = container_facts([yes_no(0, True, video=video), yes_no(1, True, video="/none.mp4")])
    assert facts[video]["width"] == 32
    assert facts[video]["has_audio"] is False
    assert facts[video]["bytes"] == (small / "clips" / "0.mp4").stat().st_size
    assert facts["/none.mp4"] == {}


def test_unknown_nuisance_is_named():
    samples = [yes_no(0, True, facts={"channel": "x"})]
    check_nuisance(["channel"], samples)
    with pytest.raises(SettingsError, match=r"nuisance 'chanel'.*channel"):
        check_nuisance(["chanel"], samples)


def test_answers_of_another_system_are_a_row_paired_like_the_others(make_plan, tmp_path):
    plan = make_plan(contenders=["mtrans"])
    data = plan.data[0]
    samples = read_manifest(data.manifest("test", tmp_path))
    right = [replace(p, choice=p.label, answer=p.target) for p in majority(samples, samples)]
    write_predictions(tmp_path / "outside/squares/llava/predictions.jsonl", right)
    ours = majority(samples, samples)
    (row,) = rows = floor_rows(plan, data, tmp_path, {0: ours, 1: ours}, "mtrans")
    assert (row.contender, row.seeds, row.reference) == ("llava", [], "mtrans")
    assert row.overall.value == 1
    chosen = [p for p in ours if p.choices]  # accuracy is of these
    mistakes = sum(not is_right(p) for p in chosen)
    assert row.against.difference == pytest.approx(mistakes / len(chosen))
    assert row.against.n == 2 * len(chosen)
    page = markdown(Results(plan, rows))
    assert "| llava | 100.0" in page
    assert "Other systems, measured from answers that were imported: llava." in page
    write_predictions(tmp_path / "outside/squares/mtrans/predictions.jsonl", right)
    with pytest.raises(SettingsError, match="is called as a row of the study is; rename it"):
        floor_rows(plan, data, tmp_path, {}, "mtrans")


def test_floors_answer_again_where_the_plan_means_other_questions(make_plan, tmp_path):
    many = [yes_no(i, i < 7, type="a" if i % 2 else "b", video=None) for i in range(10)]
    for name, part in (("train", many), ("test", many[:4]), ("older", many[5:])):
        write_manifest(tmp_path / f"{name}.jsonl", part)
        os.utime(tmp_path / f"{name}.jsonl", (1, 1))  # copied with its time, older than any answer

    def rows(**changes):
        sets = {"name": "own", "train": str(tmp_path / "train.jsonl")}
        plan = make_plan(data={**sets, "test": str(tmp_path / "test.jsonl"), **changes})
        plan = replace(plan, floors=("majority",))
        floor_rows(plan, plan.data[0], tmp_path, {}, "mtrans")
        return read_predictions(tmp_path / "own/majority/predictions.jsonl")

    first = rows()
    file = tmp_path / "own/majority/predictions.jsonl"
    os.utime(file, (5, 5))
    assert rows() == first
    assert file.stat().st_mtime == 5  # read again, not made again
    assert rows(types=["a"]) != first
    assert [p.id for p in rows(test=str(tmp_path / "older.jsonl"))] == ["5", "6", "7", "8", "9"]
