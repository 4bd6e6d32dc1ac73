"""Finding and reading files: what is taken, and what the errors say was found instead."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from mtrans.core.errors import DatasetError
from mtrans.data.adapters.shared.files import (
    VideoFolder,
    Wanted,
    field_of,
    find,
    read_csv,
    read_json,
    read_jsonl,
)

WANTED = Wanted("a.json", ("b.json",))


def fail(reason: str) -> NoReturn:
    raise DatasetError(reason)


def put(path: Path, content: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_find_prefers_the_official_name_then_the_nearest(tmp_path: Path) -> None:
    assert find(tmp_path, WANTED, fail) is None
    deep = put(tmp_path / "x" / "y" / "b.json")
    assert find(tmp_path, WANTED, fail) == deep
    nearer = put(tmp_path / "b.json")
    assert find(tmp_path, WANTED, fail) == nearer
    official = put(tmp_path / "z" / "a.json")
    assert find(tmp_path, WANTED, fail) == official
    assert find(official, WANTED, fail) == official, "the file itself may be given"
    other = put(tmp_path / "other.txt")
    assert find(other, WANTED, fail) is None, "the wrong file is not replaced by another"
    beside = Wanted("a.json", needed=False)
    assert find(other, beside, fail) == official, "what goes with a file is looked for beside it"


def test_find_refuses_to_choose(tmp_path: Path) -> None:
    put(tmp_path / "one" / "a.json")
    put(tmp_path / "two" / "a.json")
    with pytest.raises(DatasetError, match=r"several files are called a\.json"):
        find(tmp_path, WANTED, fail)


def test_find_does_not_search_without_end(tmp_path: Path) -> None:
    put(tmp_path / "1" / "2" / "3" / "4" / "5" / "a.json")
    assert find(tmp_path, WANTED, fail) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ('{"a": [1, 2', "not whole JSON"),
        ("[" * 100_000, "not whole JSON"),
        ("[]", "holds a list; wanted an object"),
        ("<!doctype html><p>", "a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
    ],
)
def test_json(content: str, words: str, tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", content)
    with pytest.raises(DatasetError, match=words):
        read_json(path, dict)
    path.write_bytes(b"\xef\xbb\xbf" + b'{"caf\xc3\xa9": 1}')
    assert read_json(path) == {"café": 1}, "a byte order mark is passed over"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(DatasetError, match=r"not UTF-8 text.*packed"):
        read_json(path)


def test_jsonl(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", '{"a": 1}\n\n{"a": "x\u2028y"}\n')
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (3, {"a": "x\u2028y"})]
    for content, words in (('{"a": 1}\n{"a"', ":2: not JSON"), ("[1]\n", ":1: wanted a JSON obj")):
        with pytest.raises(DatasetError, match=words):
            list(read_jsonl(put(path, content)))


def test_csv(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'a,b\r\n1,"x, ""y""\nz"\r\n2,\r\n')
    assert read_csv(path, ["b"]) == [{"a": "1", "b": 'x, "y"\nz'}, {"a": "2", "b": ""}]
    with pytest.raises(DatasetError, match="no column 'c'; it has: a, b"):
        read_csv(path, ["a", "c"])
    with pytest.raises(DatasetError, match=":3: no value for column 'b'; is the file cut off"):
        read_csv(put(path, "a,b\n1,2\n3"), ["a"])
    with pytest.raises(DatasetError, match="not CSV: field larger than"):
        read_csv(put(path, 'a,b\n1,"' + "x" * 200_000), ["a"])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([], "x: list; wanted an object"),
        ({"b": 1}, "x: no field 'a'; it has: b"),
        ({"a": "1"}, "x: a is str; wanted int"),
        ({"a": True}, "x: a is bool; wanted int"),
        ({"a": None}, "x: a is NoneType; wanted int"),
    ],
)
def test_field_of(record: object, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        field_of(record, "a", int, "x")
    assert field_of({"a": False}, "a", bool, "x") is False


def test_video_folder(tmp_path: Path) -> None:
    for name in ("clips/a.mp4", "clips/b.webm", "deep/er/c.mkv", "one/twin.mp4", "two/twin.mp4"):
        put(tmp_path / name)
    (tmp_path / "frames" / "v1").mkdir(parents=True)
    place = VideoFolder(tmp_path).place
    assert place("clips/a.mp4") == str(tmp_path / "clips/a.mp4")
    assert place("clips/b.mp4") == str(tmp_path / "clips/b.webm"), "another container"
    assert place("clips/c.mp4") == str(tmp_path / "deep/er/c.mkv"), "anywhere below"
    assert place("clips/x.mp4", "a.mp4") == str(tmp_path / "clips/a.mp4"), "another name"
    assert place("two/twin.mp4") == str(tmp_path / "two/twin.mp4")
    assert place("twin.mp4") == str(tmp_path / "twin.mp4"), "which twin is not guessed"
    assert place("gone.mp4", "gone2.mp4") == str(tmp_path / "gone.mp4")
    assert place("v1") == str(tmp_path / "frames/v1")
    assert VideoFolder(None).place("a.mp4", "b.mp4") == "a.mp4"
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    assert VideoFolder(tmp_path).place("c.mp4") == str(tmp_path / "deep/er/c.mkv")
    with pytest.raises(DatasetError, match="no such folder"):
        VideoFolder(tmp_path / "nowhere")
