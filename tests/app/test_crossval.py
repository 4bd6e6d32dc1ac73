"""`mtrans crossval`: the words are understood, and the recipe on real clips runs end to end."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import mtrans as package
from mtrans.app.commands_crossval import spread
from mtrans.core.errors import SettingsError
from mtrans.data.manifest import read_manifest

from .conftest import Command, one_line_error


def test_an_option_takes_several_values() -> None:
    names = {"--seeds", "--fraction"}
    words = ["--data", "x", "--seeds", "0", "1", "--steps", "3", "--fraction", "0.5"]
    assert spread(words, names) == [
        *("--data", "x", "--seeds", "0", "--seeds", "1", "--steps", "3", "--fraction", "0.5")
    ]
    assert spread(["--seeds=0", "--strict"], names) == ["--seeds=0", "--strict"]


def test_mistakes_are_one_line(mtrans: Command, small: Path, tmp_path: Path) -> None:
    common = ["crossval", "--data", small / "train.jsonl", "--out", tmp_path / "cv"]
    one_line_error(mtrans(*common), "no folds", "--folds 5")
    one_line_error(mtrans(*common, "--folds", 2, "--val", 1), "--val")
    one_line_error(mtrans(*common, "--repeats", 3), "one partition", "--folds 5")
    one_line_error(mtrans(*common, "--folds", 2, "--nuisance", "spede"), "did you mean 'speed'")
    one_line_error(mtrans(*common, "--folds", 2, "--contenders", "txt"), "did you mean 'text'")
    one_line_error(mtrans(*common, "--folds", 2, "--set", "lora.targets=[query"), "lora.targets")
    one_line_error(mtrans(*common, "--folds", 2, "--search", "lora.rank={4,8"), "lora.rank={4,8")
    assert not (tmp_path / "cv" / "runs").exists()


@pytest.mark.slow
def test_from_python(small: Path, tmp_path: Path) -> None:
    samples = [s for s in read_manifest(small / "train.jsonl") if s.choices]
    common = {"folds": 2, "val": 0.0, "backbone": small / "backbone", "device": "cpu"}
    with pytest.raises(SettingsError, match="one partition"):
        package.crossval(samples, tmp_path / "no", repeats=2)
    said: list[str] = []
    found = package.crossval(
        samples,
        tmp_path / "cv",
        **common,
        seeds=[3],
        frames=2,
        steps=1,
        batch=4,
        settings={"prompt": {"template": "tiny"}, "lora.rank": 2, "train.precision": "fp32"},
        say=said.append,
    )
    assert found.failure is None
    assert [row.contender for row in found.results.rows] == [
        *("mtrans", "text", "majority", "shortcut floor")
    ]
    assert found.results.rows[0].seeds == [3]
    assert found.results.rows[0].overall.n == len(samples)
    assert "| shortcut floor | " in found.table
    assert found.table == (tmp_path / "cv" / "table.md").read_text()
    assert "<html" in found.report.read_text()
    assert said


@pytest.mark.slow
def test_fights(mtrans: Command, shared_data: Path, tmp_path: Path) -> None:
    """The recipe of docs/protocol.md on 23 clips and a budget of nothing."""
    fights = shared_data / "fights"
    with (fights / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [r for r in rows if r["source"] in ("s03", "s07", "s13", "s18", "s20", "s27")]
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)
    options = {
        "video": "file",
        "answer": "label",
        "names": "fight=yes,noFight=no",
        "ask": "is there a fight ?",
        "group": "source",
        "folds": 2,
        "by": "group",
    }
    words = [word for k, v in options.items() for word in ("--option", f"{k}={v}")]
    done = mtrans(
        *("data", "prepare", "csv", "--annotations", tmp_path / "index.csv", "--videos", fights),
        *("--out", tmp_path / "fights", "--split-scheme", "folds", *words),
    )
    assert done.status == 0, done.err
    out = tmp_path / "cv"
    done = mtrans(
        *("crossval", "--data", tmp_path / "fights" / "all.jsonl", "--out", out, "--by", "group"),
        *("--contenders", "single", "--steps", 1, "--batch", 2, "--frames", 2, "--val", 0.3),
        *("--seeds", 0, "--device", "cpu"),
    )
    assert done.status == 0, done.err
    for name in ("chance", "majority", "shortcut floor", "mtrans", "text", "single"):
        assert f"| {name} | " in done.out
    document = json.loads((out / "results.json").read_text())
    assert [row["contender"] for row in document["rows"]] == [
        *("mtrans", "text", "single", "majority", "shortcut floor")
    ]
    assert {row["overall"]["n"] for row in document["rows"]} == {len(kept)}
    assert {row["overall"]["clusters"] for row in document["rows"]} == {6}
    assert "shortcut floor" in (out / "report.html").read_text()
