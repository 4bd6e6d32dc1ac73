"""`mtrans report` and `mtrans compare` on a tiny random model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Command, one_line_error


@pytest.fixture(scope="module")
def plain(mtrans: Command, small: Path) -> Path:
    """Predictions of the backbone without an adapter."""
    folder = small / "plain"
    data = ["--data", small / "train.jsonl"]
    one_line_error(mtrans("eval", small / "backbone", *data), "give --out")
    done = mtrans("eval", small / "backbone", *data, "--out", folder, "--no-cache")
    assert done.status == 0, done.err
    return folder


def test_compare(mtrans: Command, run: Path, plain: Path, small: Path, tmp_path: Path) -> None:
    done = mtrans("compare", run, plain / "predictions.jsonl")
    assert done.status == 0, done.err
    assert "predictions.jsonl against run" in done.out
    assert "McNemar" in done.out
    assert "8 videos" in done.out
    for name in ("a/seed-0", "b/wide/seed-0"):  # the same name: what tells them apart is said
        folder = tmp_path / "study" / name
        folder.mkdir(parents=True)
        shutil.copy(plain / "predictions.jsonl", folder)
    both = [tmp_path / "study" / name for name in ("a/seed-0", "b/wide/seed-0")]
    assert "b/wide against a" in mtrans("compare", *both).out
    one_line_error(mtrans("compare", run), "two or more")
    one_line_error(mtrans("compare", run, tmp_path), "has no predictions.jsonl", "mtrans eval")


def test_report(mtrans: Command, run: Path, plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = mtrans("report", run, "--compare", plain, "--out", out)
    assert done.status == 0, done.err
    assert str(out) in done.out
    assert "<html" in out.read_text()[:200].lower()
    one_line_error(mtrans("report", tmp_path / "none"), "none")
    lines = (run / "predictions.jsonl").read_text().splitlines(keepends=True)
    few = tmp_path / "few"
    few.mkdir()
    (few / "predictions.jsonl").write_text("".join(lines[:3]))
    other = mtrans("report", run, "--compare", few, "--out", tmp_path / "other.html")
    one_line_error(other, "can't compare", "ids of the reference are not in the other run")
    assert (tmp_path / "other.html").is_file()
