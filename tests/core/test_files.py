"""Text files are replaced whole, and hashed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mtrans.core.errors import MTransError
from mtrans.core.files import append_jsonl, file_hash, make_folder, read_jsonl, write_text


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


def test_json_lines_end_where_lines_end(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    assert read_jsonl(file) == []
    records = [{"said": "one\u2028two\x85three"}, {"said": "four"}]
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_text(file, text)
    assert read_jsonl(file) == records
    write_text(file, text[:-4])  # cut by a kill
    assert read_jsonl(file) == records[:1]
    write_text(file, "\n" + text)
    with pytest.raises(MTransError, match="line 1 is not JSON"):
        read_jsonl(file)


@pytest.mark.parametrize(
    ("cut", "kept"), [(0, 2), (1, 2), (2, 1), (14, 1), (15, 1), (16, 1), (17, 0), (19, 0), (99, 0)]
)
def test_a_cut_last_line_spoils_none_that_follow(tmp_path: Path, cut: int, kept: int) -> None:
    file = tmp_path / "a.jsonl"
    records = [{"said": "ä"}, {"said": "bc"}, {"said": "d"}]
    append_jsonl(file, records[:2])
    whole = file.read_bytes()
    file.write_bytes(whole[: max(0, len(whole) - cut)])
    assert read_jsonl(file) == records[:kept]
    append_jsonl(file, records[2:])
    assert read_jsonl(file) == [*records[:kept], records[2]]


def test_a_folder_that_cannot_be_made_is_one_line_for_the_user(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(str(tmp_path / "a")) == tmp_path / "a"
    file = tmp_path / "clip.mp4"
    file.write_text("x")
    for place in (file, file / "sub", file / "sub" / "sub"):
        with pytest.raises(MTransError, match=f"'{file}' is a file") as caught:
            make_folder(place)
        assert "\n" not in str(caught.value)
    with pytest.raises(MTransError, match="'/proc/nowhere' can't be made: "):
        make_folder("/proc/nowhere")
    with pytest.raises(MTransError, match=r"x.json' can't be written: Not a directory"):
        write_text(file / "x.json", "x")
    assert file.read_text() == "x"


def test_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0" * 300_000)
    assert file_hash(tmp_path / "a") == hashlib.sha256(b"\0" * 300_000).hexdigest()
