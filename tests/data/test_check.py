from __future__ import annotations

import json

import pytest

from mtrans.core.errors import ManifestError
from mtrans.core.records import Sample
from mtrans.core.settings import FrameSettings
from mtrans.data.check import check_manifest
from mtrans.data.manifest import write_manifest

LR = ("left", "right")


def test_counts(tmp_path, clips):
    a, b = str(clips / "0.mp4"), str(clips / "1.mp4")
    some = [
        Sample("1", a, "where?", choices=LR, label=0, type="where", split="train", speaker="x"),
        Sample("2", a, "which?", choices=LR, label=0, type="where", split="train", speaker="y"),
        Sample("3", b, "where?", choices=LR, label=1, type="where", split="test", group="g"),
        Sample("4", b, "what?", answer="a ball", start=0.5, end=1.0),
        Sample("5", None, "what?"),
    ]
    path = tmp_path / "m.jsonl"
    write_manifest(path, some)
    calls = []
    check = check_manifest(path, frames=FrameSettings(), progress=lambda *c: calls.append(c))
    assert check.ok
    assert check.problems == []
    assert (check.samples, check.videos, check.clips) == (5, 2, 3)
    assert (check.answered, check.multiple_choice, check.speakers, check.groups) == (4, 3, 2, 1)
    assert check.splits == {"train": 2, "test": 1, "": 2}
    assert check.seconds == pytest.approx(2 + 2 + 0.5, abs=0.3)
    assert calls == [(1, 2), (2, 2)]
    where = check.types["where"]
    assert where.answers == {"left": 2, "right": 1}
    assert where.labels == {0: 2, 1: 1}
    assert where.majority == pytest.approx(2 / 3)
    assert where.chance == pytest.approx(1 / 2)
    assert check.types[""].chance is None
    json.dumps(check.to_json())


def test_all_problems_at_once(tmp_path, clips):
    a = str(clips / "0.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    data = (clips / "1.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    records = [
        {"id": "1", "video": a, "question": "q", "answer": "x", "split": "train"},
        {"id": "2", "video": a, "question": "q", "answer": "y", "split": "test"},
        {"id": "3", "video": a, "question": "q", "answer": "x", "split": "train"},
        {"id": "3", "video": a, "question": "r"},
        {"id": "4", "video": "none.mp4", "question": "q"},
        {"id": "5", "video": "text.mp4", "question": "q"},
        {"id": "6", "video": "text.mp4", "question": "r"},
        {"id": "7", "video": a, "question": "q", "start": 9},
        {"id": "8", "video": a, "question": "q", "end": 9},
        {"id": "9", "video": "cut.mp4", "question": "q"},
        {"id": "10", "vidoe": a, "question": "q"},
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    check = check_manifest(path, frames=FrameSettings())
    found = [(p.line, p.field, p.severity) for p in check.problems]
    assert found == [
        (2, "answer", "error"),
        (3, "", "warning"),
        (4, "id", "error"),
        (5, "video", "error"),
        (6, "video", "error"),
        (8, "start", "error"),
        (9, "end", "warning"),
        (10, "video", "error"),
        (11, "vidoe", "error"),
    ]
    assert not check.ok
    assert len(check.errors) == 7
    assert all("\n" not in str(p) and str(p).startswith(f"{path}:") for p in check.problems)
    assert "(2 samples)" in check.problems[4].reason
    assert check.lines == 11
    assert check.usable == 3  # 1, 3 and 9; 7 asks about the same bad file as 6
    unopened = check_manifest(path, videos=False)
    assert [p.line for p in unopened.errors] == [2, 4, 11]


def test_missing_files_get_a_line_each_or_one_together(tmp_path, clips):
    there = str(clips / "0.mp4")
    names = ["val", "fold10", "test", "train", "fold2", ""]
    some = [Sample(f"t{i}", there, f"q{i}", split=name or None) for i, name in enumerate(names)]
    (tmp_path / "link.mp4").symlink_to(tmp_path / "moved.mp4")
    gone = [Sample(f"g{i}", str(tmp_path / f"{i}.mp4"), "q") for i in range(2)]
    gone += [Sample("link", str(tmp_path / "link.mp4"), "q"), Sample("twice", gone[0].video, "r")]
    path = tmp_path / "m.jsonl"
    write_manifest(path, some + gone)
    check = check_manifest(path)
    assert list(check.splits) == ["train", "val", "test", "", "fold2", "fold10"]
    assert [p.line for p in check.errors] == [7, 8, 9]
    assert str(check.errors[0]).endswith("0.mp4: no such file; check the path (2 samples)")
    assert check.missing == {gone[0].video: [7, 10], gone[1].video: [8], gone[2].video: [9]}
    assert check.usable == 6
    write_manifest(path, [*some, *gone, Sample("more", str(tmp_path / "9.mp4"), "q")])
    (problem,) = check_manifest(path).errors
    assert str(problem).startswith(f"{path}: video: 4 of 5 files are not there (5 samples), e.g. ")
    assert check_manifest(path).usable == 6


def test_a_manifest_that_cannot_be_read(tmp_path):
    with pytest.raises(ManifestError, match="can't be read"):
        check_manifest(tmp_path / "none.jsonl")


def test_real_broken_files(tmp_path, shared_data):
    broken = sorted(p for p in (shared_data / "broken").iterdir() if p.suffix != ".md")
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Sample(p.name, str(p), "what?") for p in broken])
    check = check_manifest(path, frames=FrameSettings())
    bad = {broken[p.line - 1].name for p in check.errors}
    assert 0 < len(bad) < len(broken)
    assert all("\n" not in p.reason for p in check.problems)
