"""YouCook2's whole annotation file: videos, steps, and the questions made from them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from real_files import read


def test_captions(real: Path) -> None:
    samples = read("youcook2", real / "youcook2")
    assert Counter(s.split for s in samples) == {"train": 10337, "test": 3492}
    videos = {split: {s.group for s in samples if s.split == split} for split in ("train", "test")}
    assert {split: len(found) for split, found in videos.items()} == {"train": 1333, "test": 457}
    assert not videos["train"] & videos["test"]
    assert len({s.facts["recipe"] for s in samples}) == 89


def test_questions_are_one_a_step_and_true(real: Path) -> None:
    captions = read("youcook2", real / "youcook2")
    said = {(s.group, s.facts["step"]): s.answer for s in captions}
    clip = {(s.group, s.facts["step"]): (s.start, s.end) for s in captions}
    samples = read("youcook2", real / "youcook2", task="questions")
    assert Counter(s.split for s in samples) == {"train": 10337, "test": 3492}
    types = Counter(s.type for s in samples)
    assert set(types) == {"what", "next", "previous", "order"}
    assert min(types.values()) > 3000, "drawn evenly; a video's last step allows two types only"
    shift = {"what": 0, "next": 1, "previous": -1, "order": 0}
    first = 0
    for s in samples:
        step = int(s.facts["step"] or 0)
        assert s.answer == said[s.group, step + shift[s.type or ""]]
        if s.type != "order":
            assert (s.start, s.end) == clip[s.group, step]
        else:
            assert f"{said[s.group, step + 1]}" in s.question
            first += s.question.startswith(
                f"Which of these does the person do first: {s.answer}, or"
            )
    assert first == pytest.approx(types["order"] / 2, rel=0.1), "the answer's place tells nothing"


def test_validation_part_is_made_of_training_videos(real: Path) -> None:
    samples = read("youcook2", real / "youcook2", "with_val")
    sizes = Counter(s.split for s in samples)
    assert sizes["test"] == 3492
    assert sizes["val"] == pytest.approx(1034, abs=16)
    videos = {split: {s.group for s in samples if s.split == split} for split in sizes}
    assert not videos["train"] & videos["val"]
