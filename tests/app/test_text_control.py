"""`mtrans text-control`: mistakes are one line each; what it finds is tested in tests/study."""

from __future__ import annotations

from pathlib import Path

from .conftest import Command, one_line_error


def test_mistakes_are_one_line(mtrans: Command, small: Path, tmp_path: Path) -> None:
    train = small / "train.jsonl"
    common = ["text-control", "--data", train, "--out", tmp_path / "out", "--device", "cpu"]
    one_line_error(mtrans(*common), "name no folds", "give --test")
    one_line_error(mtrans(*common, "--val", train), "--val without --test")
    one_line_error(mtrans(*common, "--test", train), "is in train and in test")
    one_line_error(mtrans(*common, "--test", train, "--val-share", 1), "--val-share")
    assert not (tmp_path / "out").exists()
