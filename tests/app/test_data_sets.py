"""`mtrans data list`, `mtrans data prepare`, and the page that is made from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.app.datasets import page
from mtrans.data.adapters import ADAPTERS
from mtrans.data.manifest import read_manifest

from .conftest import Command, one_line_error

DOCS = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    line = {"id": "a", "video": "a.mp4", "question": "who?", "answer": "mia", "split": "test"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(line) + "\n")
    return tmp_path / "mine.jsonl"


def test_list_names_all(mtrans: Command) -> None:
    done = mtrans("data", "list")
    assert done.status == 0
    assert all(f"  {name} " in done.out for name in ADAPTERS)
    shown = json.loads(mtrans("data", "list", "--json").out)
    assert [one["name"] for one in shown] == sorted(ADAPTERS)
    assert {one["name"]: one["chance"] for one in shown}["mustard"] == {"*": 0.5}


def test_list_of_one(mtrans: Command) -> None:
    done = mtrans("data", "list", "mustard")
    for word in ("split_indices.p", "356", "MIT", "utterances_final", "ACL 2019", "50.0 %"):
        assert word in done.out
    one_line_error(mtrans("data", "list", "mustart"), "did you mean 'mustard'")


def test_prepare(mtrans: Command, mine: Path, tmp_path: Path) -> None:
    words = ["data", "prepare", "jsonl", "--annotations", mine, "--out", tmp_path / "out"]
    one_line_error(mtrans(*words), "1 of 1 clips", "--allow-missing-videos", "missing_videos.txt")
    done = mtrans(*words, "--allow-missing-videos")
    assert done.status == 0
    assert "  test " in done.out
    assert "1 clips are missing, their questions are kept" in done.err
    (tmp_path / "a.mp4").write_bytes(b"")
    done = mtrans(*words, "--json")
    assert json.loads(done.out)["splits"]["test"]["samples"] == 1
    assert not done.err
    assert read_manifest(tmp_path / "out" / "test.jsonl")[0].video == str(tmp_path / "a.mp4")


def test_prepare_wrong(mtrans: Command, mine: Path, tmp_path: Path) -> None:
    words = ["data", "prepare", "jsonl", "--annotations", mine, "--out", tmp_path / "out"]
    both = ["--allow-missing-videos", "--drop-missing-videos"]
    one_line_error(mtrans(*words, *both), "contradict")
    one_line_error(mtrans(*words, "--option", "split"), "wanted NAME=VALUE")
    one_line_error(mtrans(*words, "--option", "by=frame"), "option by=frame", "video")
    one_line_error(mtrans(*words, "--videos", tmp_path / "nowhere"), "no such folder")


def test_the_page_equals_the_program() -> None:
    assert DOCS.read_text(encoding="utf-8") == page(), "run `make docs`"
