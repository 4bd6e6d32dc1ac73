"""A small cross-validation: every question answered once a seed by a model that never saw it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.core.errors import SettingsError
from mtrans.data.leaks import LeakError
from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.measure.predictions import read_predictions
from mtrans.study.crossval import Protocol, divide, prepare, run
from mtrans.study.crossval_results import publish
from mtrans.study.grid import failures
from mtrans.study.tables import to_csv

from .conftest import QUICK


@pytest.fixture(scope="module")
def budget(small):
    return {
        "contenders": ["mtrans"],
        "frames": 2,
        "steps": 1,
        "batch": 4,
        "seeds": [0, 1],
        "set": {**QUICK, "backbone": str(small / "backbone")},
        "vary": {"fraction": [0.5, 1.0]},
    }


@pytest.fixture(scope="module")
def done(small, budget, tmp_path_factory):
    out: Path = tmp_path_factory.mktemp("crossval")
    protocol = Protocol(small / "train.jsonl", folds=2, by="group", val=0.25, nuisance=("speed",))
    rounds = prepare(protocol, budget, out, say=print)
    outcomes = run(rounds, say=print)
    assert failures(outcomes, rounds.runs) is None
    return rounds, publish(rounds), outcomes


def test_parts_are_apart_and_whole(done, small):
    rounds, _, _ = done
    everything = {s.id for s in read_manifest(small / "train.jsonl")}
    tests: list[str] = []
    for fold in rounds.folds:
        folder = rounds.out / "folds" / fold.name
        parts = {n: read_manifest(folder / f"{n}.jsonl") for n in ("train", "val", "test")}
        groups = [{s.group for s in part} for part in parts.values()]
        assert all(groups)
        assert not groups[0] & groups[1]
        assert not groups[2] & (groups[0] | groups[1])
        assert {s.id for part in parts.values() for s in part} == everything
        tests += [s.id for s in parts["test"]]
    assert sorted(tests) == sorted(everything)


def test_rows_pool_all_folds_and_stand_beside_their_floors(done):
    rounds, found, _ = done
    assert [(r.contender, r.point["fraction"]) for r in found.results.rows] == [
        ("mtrans", f) for f in (0.5, 1.0)
    ] + [(name, f) for f in (0.5, 1.0) for name in ("majority", "shortcut floor")]
    for row, detail in zip(found.results.rows, found.details, strict=True):
        assert row.overall.n == (16 if row.seeds else 8)
        assert row.overall.clusters == 8
        assert set(detail.folds) == {"fold1", "fold2"}
        assert row.overall.chance == pytest.approx(1 / 3)
        assert (row.spread is None) == (not row.seeds)
    ours = read_predictions(rounds.out / "pooled/mtrans-fraction-1/predictions.jsonl")
    chosen = [p for p in ours if p.choices]
    right = sum(p.choice == p.label for p in chosen) / len(chosen)
    assert found.results.rows[1].overall.value == pytest.approx(right)
    assert (rounds.out / "pooled/shortcut-floor-fraction-1/scores.json").exists()
    assert found.results.rows[-1].reference == "mtrans, fraction=1"


def test_the_run_says_when_the_test_part_was_opened(done):
    rounds, found, _ = done
    document = json.loads((rounds.out / "results.json").read_text())
    assert document["protocol"]["by"] == "group"
    opened = found.details[0].opened
    assert len(opened) == 4  # folds x seeds
    assert all(len(times) == 1 for times in opened.values())
    for name, (time,) in opened.items():
        finished = json.loads((rounds.runs / name / "run.json").read_text())["finished"]
        assert finished <= time
    page = (rounds.out / "table.md").read_text()
    assert "opened once by each run" in page
    assert page.index("| majority |") < page.index("| mtrans |")


def test_all_runs_share_one_cache_and_are_found_again(done, budget):
    rounds, found, _ = done
    assert not [p for p in rounds.out.rglob("cache") if p.parent != rounds.runs]
    said: list[str] = []
    again = prepare(rounds.protocol, budget, rounds.out, say=print)
    outcomes = run(again, say=said.append)
    assert said[0] == "[8/8] 8 runs found done"
    assert all(o.seconds == 0 for o in outcomes)
    assert to_csv(publish(again).results) == to_csv(found.results)
    assert "opened once by each run" in (rounds.out / "table.md").read_text()


def test_given_folds_are_taken_and_leaks_stop_a_strict_one(small, budget, tmp_path):
    samples = read_manifest(small / "train.jsonl")
    placed = [replace(s, split=f"fold{i % 3 + 1}") for i, s in enumerate(samples)]
    write_manifest(tmp_path / "all.jsonl", placed)
    protocol = Protocol(tmp_path / "all.jsonl")
    assert [f.name for f in divide(protocol)] == ["fold1", "fold2", "fold3"]
    with pytest.raises(LeakError, match=r"video: 8 of 8 videos .*group: 8 of 8 groups"):
        prepare(protocol, budget, tmp_path / "out", strict=True)
    assert not (tmp_path / "out" / "folds").exists()


@pytest.mark.slow
def test_repeats_are_other_partitions_and_each_answers_everything(small, budget, tmp_path):
    manifest = small / "train.jsonl"
    with pytest.raises(SettingsError, match="one partition; make folds"):
        Protocol(manifest, repeats=2)
    protocol = Protocol(manifest, folds=2, val=0.0, seed=3, repeats=2)
    folds = divide(protocol)
    assert [f.name for f in folds] == [f"repeat{r}-fold{n}" for r in (1, 2) for n in (1, 2)]
    assert [f.test for f in folds[:2]] == [f.test for f in divide(replace(protocol, repeats=1))]
    assert {s.id for s in folds[0].test} not in ({s.id for s in f.test} for f in folds[2:])
    small_budget = {**budget, "contenders": ["text"], "seeds": [0], "vary": {}}
    rounds = prepare(protocol, small_budget, tmp_path, say=print)
    assert failures(run(rounds, say=print), rounds.runs) is None
    found = publish(rounds)
    everything = len(read_manifest(manifest))
    assert [row.contender for row in found.results.rows] == ["text", "majority", "shortcut floor"]
    for row, detail in zip(found.results.rows, found.details, strict=True):
        file = tmp_path / "pooled" / row.contender.replace(" ", "-") / "predictions.jsonl"
        answers = read_predictions(file)
        assert len({p.id for p in answers}) == len(answers) == 2 * everything
        assert row.overall.clusters == 8
        for repeat, value in detail.repeats.items():
            part = [p for p in answers if p.id.endswith(f"#{repeat}") and p.choices]
            assert value == pytest.approx(sum(p.choice == p.label for p in part) / len(part))
        assert list(detail.repeats) == ["repeat1", "repeat2"]
    page = (tmp_path / "table.md").read_text()
    assert "2 folds (stratified, no video torn apart, seed 3 to 4: 2 partitions)" in page
    assert "### by repeat" in page


def test_what_can_not_be_done_is_said(small, budget, tmp_path):
    fixed = [replace(s, split="train") for s in read_manifest(small / "train.jsonl")]
    write_manifest(tmp_path / "all.jsonl", fixed)
    with pytest.raises(SettingsError, match="--folds 5"):
        divide(Protocol(tmp_path / "all.jsonl"))
    with pytest.raises(SettingsError, match="fraction only"):
        prepare(
            Protocol(small / "train.jsonl", folds=2),
            {**budget, "vary": {"lora.rank": [1, 2]}},
            tmp_path / "out",
        )
