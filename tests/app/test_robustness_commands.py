"""`mtrans robustness`, `mtrans explain`, `mtrans ood` and `mtrans ask --warn-ood`."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.infer.gaussian import OOD_FILE, read_gaussian

from .conftest import Command, one_line_error


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A run of its own to write to."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_robustness_writes_numbers_and_the_section(
    mtrans: Command, copy: Path, small: Path
) -> None:
    words = ["robustness", copy, "--data", small / "train.jsonl", "--limit", "6"]
    words += ["--only", "reverse", "blur", "--severities", "1", "5"]
    done = mtrans(*words)
    assert done.status == 0, done.err
    document = json.loads((copy / "robustness" / "robustness.json").read_text())
    rows = [(r["name"], r["severity"]) for r in document["rows"]]
    assert rows == [("reverse", 5), ("blur", 1), ("blur", 5)]
    assert document["clean"]["n"] == 6
    assert '<section id="robustness">' in (copy / "report.html").read_text()
    again = mtrans(*words, "--severities", "3")
    assert again.status == 0, again.err
    assert "undisturbed" in again.out


def test_explain_writes_a_page(mtrans: Command, copy: Path, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "why.html"
    done = mtrans("explain", copy, "--data", small / "train.jsonl", "--clip", "0-way", "--out", out)
    assert done.status == 0, done.err
    assert "occlusion: " in done.out
    assert "which way does the square move ?" in out.read_text()


def test_a_strange_clip_is_warned_of_on_request(
    mtrans: Command, copy: Path, small: Path, tmp_path: Path
) -> None:
    samples = read_manifest(small / "train.jsonl")
    # three windows of each of the eight clips: 24 clips to fit on
    windows = [
        dataclasses.replace(s, id=f"{s.id}-{k}", start=k / 8, end=0.6 + k / 8)
        for s in samples[::2]
        for k in range(3)
    ]
    manifest = tmp_path / "windows.jsonl"
    write_manifest(manifest, windows)
    ask = ["ask", copy, samples[0].video, samples[0].question, "--warn-ood"]
    one_line_error(mtrans(*ask), "--fit TRAIN.jsonl")
    done = mtrans("ood", copy, "--fit", manifest, "--known", manifest, "--strange", manifest)
    assert done.status == 0, done.err
    assert "fitted on 18 clips" in done.out
    assert "50.0" in done.out
    dataclasses.replace(read_gaussian(copy), threshold=1e9).save(copy)
    assert "unlike" not in mtrans(*ask).err
    dataclasses.replace(read_gaussian(copy), threshold=0.0).save(copy)
    done = mtrans(*ask)
    assert done.status == 0
    assert "warning: this clip is unlike the training clips" in done.err
    assert (copy / OOD_FILE).is_file()


def test_mistakes_of_the_user_are_one_line(mtrans: Command, copy: Path, small: Path) -> None:
    data = ["--data", small / "train.jsonl"]
    one_line_error(mtrans("robustness", copy, *data, "--only", "noice"), "did you mean 'noise'")
    one_line_error(mtrans("robustness", copy, *data, "--severities", "7"), "1 to 5")
    one_line_error(mtrans("robustness", small / "backbone", *data), "give --out")
    one_line_error(mtrans("explain", copy, *data, "--clip", "0-wya"), "did you mean '0-way'")
    one_line_error(mtrans("ood", copy), "--fit TRAIN.jsonl")
    one_line_error(mtrans("ood", copy, "--known", small / "train.jsonl"), "--known and --strange")
