"""Text files are replaced whole, and hashed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mtrans.core.files import file_hash, write_text


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, sync: bool) -> None:
    file = tmp_path / "a.json"
    for text in ("first\n", "zweites: ä\r\n"):
        write_text(file, text, sync=sync)
        assert file.read_bytes() == text.encode()
    assert list(tmp_path.iterdir()) == [file]


def test_a_failure_leaves_the_old_text(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "new " + "\ud800")  # half of a surrogate pair: no UTF-8 for it
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(OSError, match="no/such"):
        write_text(tmp_path / "no" / "such" / "b.json", "x")


def test_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0" * 300_000)
    assert file_hash(tmp_path / "a") == hashlib.sha256(b"\0" * 300_000).hexdigest()
