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


def test_cached_files_of_a_container_count_as_free(tmp_path: Path) -> None:
    """A container that has read a large data set is not full."""
    for name, text in {
        "memory.max": "1000\n",
        "memory.current": "900\n",
        "memory.stat": "anon 200\nfile 700\ninactive_file 600\nactive_file 100\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert doctor._container(5000.0, 4000.0, tmp_path) == (1000.0, 700.0)
    assert doctor._container(5000.0, 300.0, tmp_path) == (1000.0, 300.0), "the machine has no more"
    (tmp_path / "memory.stat").unlink()
    assert doctor._container(5000.0, 4000.0, tmp_path) == (1000.0, 100.0), "nobody says more"
    (tmp_path / "memory.max").write_text("max\n")
    assert doctor._container(5000.0, 4000.0, tmp_path) == (5000.0, 4000.0)
