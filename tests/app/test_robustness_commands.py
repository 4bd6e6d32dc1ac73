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


def test_without_data_the_answered_questions_are_asked(
    mtrans: Command, copy: Path, small: Path
) -> None:
    assert mtrans("eval", copy, "--data", small / "train.jsonl", "--overwrite").status == 0
    words = ["robustness", copy, "--only", "blank", "jpeg", "--quick", "--clips", "3"]
    done = mtrans(*words)
    assert done.status == 0, done.err
    document = json.loads((copy / "robustness" / "robustness.json").read_text())
    assert [(r["name"], r["severity"]) for r in document["rows"]] == [("blank", 5), ("jpeg", 3)]
    assert document["clean"]["clusters"] == 3
    lines = (copy / "predictions.jsonl").read_text().splitlines()
    changed = [json.dumps({**json.loads(line), "question": "who ?"}) for line in lines]
    (copy / "predictions.jsonl").write_text("\n".join(changed) + "\n")
    one_line_error(mtrans(*words), "give the manifest with --data")


def test_explain_tests_maps_on_many_clips_and_goes_on(
    mtrans: Command, copy: Path, small: Path
) -> None:
    words = ["explain", copy, "--data", small / "train.jsonl", "--clips"]
    done = mtrans(*words, "2")
    assert done.status == 0, done.err
    lines = (copy / "explain" / "maps.jsonl").read_text().splitlines()
    assert len(lines) == 2
    done = mtrans(*words, "3")
    assert done.status == 0, done.err
    again = (copy / "explain" / "maps.jsonl").read_text().splitlines()
    assert again[:2] == lines
    found = json.loads((copy / "explain" / "faithfulness.json").read_text())
    assert found["n"] == 3
    assert {m["name"] for m in found["maps"]} >= {"occlusion", "gradient x input"}
    assert "Can its maps be trusted?" in (copy / "report.html").read_text()
    one_line_error(mtrans(*words, "2", "--seed", "1"), "another model, training or seed")
    one_line_error(mtrans(*words[:-1]), "give --clip ID")


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
    words = ["--fit", manifest, "--known", manifest, "--strange", manifest]
    done = mtrans("ood", copy / "adapter", *words)  # its run folder is what is written to
    assert done.status == 0, done.err
    assert "fitted on 18 clips" in done.out
    assert "50.0" in done.out
    kept = json.loads((copy / "ood.json").read_text())
    assert [row["name"] for row in kept["rows"]] == ["windows"]
    assert set(kept["rows"][0]["scores"]) == {"distance", "confidence"}
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
