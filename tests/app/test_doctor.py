"""`mtrans doctor`: what is there and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtrans.app import doctor, sizes

from .conftest import Command


def test_folder_size(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "c").write_bytes(b"1")
    assert doctor.folder_size(tmp_path) == 6
    assert doctor.folder_size(tmp_path / "none") == 0


def test_doctor_command(mtrans: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mtrans.models.loading.TINY_FOLDER", tmp_path)
    monkeypatch.setattr(sizes, "PUBLISHED", {})
    done = mtrans("doctor")
    assert done.status == 0
    for words in ("torch", "device", "reads H.264", "writes AAC", "feature cache", "free of"):
        assert words in done.out
    assert "python -m mtrans.models.tiny.pretrain" in " ".join(done.out.split())


def test_extras_come_from_the_packages_own_metadata() -> None:
    assert "pytest" in doctor._extras()["dev"]
