"""Finding and reading a data set's files, with errors that say what was found instead."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mtrans.core.errors import DatasetError

Fail = Callable[[str], NoReturn]
"""Raises a data set's error for a reason; `Adapter.fail`."""

DEEPEST = 4
"""Folders below the given one that are searched for an annotation file."""


@dataclass(frozen=True)
class Wanted:
    """An annotation file.

    Attributes:
        name: Its official file name; may be a pattern such as ``*.json``.
        others: Other names under which it is around.
        about: What it holds.
        needed: Whether the set can't be read without it.
    """

    name: str
    others: tuple[str, ...] = ()
    about: str = ""
    needed: bool = True


def describe(files: Sequence[Wanted]) -> str:
    """Returns the files in words, for an error message."""
    words = []
    for file in files:
        names = " or ".join((file.name, *file.others))
        about = ", ".join(filter(None, (file.about, "" if file.needed else "optional")))
        words.append(f"{names} ({about})" if about else names)
    return ", ".join(words)


def find(place: Path, wanted: Wanted, fail: Fail) -> Path | None:
    """Finds a file in a folder or up to a few folders below it.

    Args:
        place: A folder, or the file itself.
        wanted: The file; its official name is preferred to the others.
        fail: Raises the data set's error.

    Returns:
        The file, or None. The one nearest to `place` where there are several.

    Raises:
        DatasetError: Several lie equally near.
    """
    names = (wanted.name, *wanted.others)
    if place.is_file():
        if any(place.match(name) for name in names):
            return place
        return find(place.parent, wanted, fail) if not wanted.needed else None
    for name in names:
        pattern = name
        for _ in range(DEEPEST + 1):
            found = sorted(p for p in place.glob(pattern) if p.is_file())
            if len(found) > 1:
                fail(
                    f"several files are called {name}: '{found[0]}', '{found[1]}'; give the one"
                    " folder or file that is meant"
                )
            if found:
                return found[0]
            pattern = f"*/{pattern}"
    return None


def read_bytes(path: Path) -> bytes:
    """Reads a file.

    Raises:
        DatasetError: It can't be read, is empty, a Git LFS pointer or a web page.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: can't be read: {error.strerror}") from error
    _refuse_placeholder(path, data)
    return data


def read_text(path: Path) -> str:
    """Reads a UTF-8 file.

    Raises:
        DatasetError: As of :func:`read_bytes`, or it is not text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}: not UTF-8 text at byte {error.start}; is it still packed, or another file?"
        ) from error


def _refuse_placeholder(path: Path, data: bytes) -> None:
    """Refuses what is often saved in place of a file.

    Raises:
        DatasetError: The file is empty, a Git LFS pointer or a web page.
    """
    head = data[:200].lstrip().lower()
    if not data.strip():
        raise DatasetError(f"{path}: empty; wanted the whole file, get it again")
    if head.startswith(b"version https://git-lfs"):
        raise DatasetError(f"{path}: only a Git LFS pointer; run `git lfs pull` where it is from")
    if head.startswith((b"<!doctype html", b"<html")):
        raise DatasetError(f"{path}: a web page was saved in place of the file; get it again")


def read_json(path: Path, kind: type | tuple[type, ...] = (dict, list)) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        kind: What its outermost value must be: dict, list or both.

    Returns:
        The value.

    Raises:
        DatasetError: It can't be read, is cut off, or holds another kind of value.
    """
    text = read_text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = str(error) or "nested too deeply"
        raise DatasetError(f"{path}: not whole JSON ({where}); get it again") from error
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names: dict[type, str] = {dict: "an object", list: "a list"}
        wanted = " or ".join(names.get(k, k.__name__) for k in kinds)
        got = names.get(type(value), type(value).__name__)
        raise DatasetError(f"{path}: holds {got}; wanted {wanted}")
    return value


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line counted from 1, object) of a JSONL file; blank lines are passed over.

    Raises:
        DatasetError: It can't be read, or a line is not a JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{path}:{number}: not JSON ({error}); get it again") from error
        if not isinstance(record, dict):
            raise DatasetError(f"{path}:{number}: wanted a JSON object a line")
        yield number, record


def read_csv(path: Path, columns: Iterable[str], delimiter: str = ",") -> list[dict[str, str]]:
    """Reads a CSV file with a header; quoted fields may hold line breaks.

    Args:
        path: The file.
        columns: Columns that must be there.
        delimiter: Between fields.

    Returns:
        Its rows, each column name -> text.

    Raises:
        DatasetError: It can't be read, lacks a column, or a row has too few fields.
    """
    text = io.StringIO(read_text(path), newline="")
    reader = csv.DictReader(text, restval=None, delimiter=delimiter)
    try:
        header = list(reader.fieldnames or ())
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:  # a field without end, because a quote is never closed
        raise DatasetError(f"{path}:{reader.line_num}: not CSV: {error}; get it again") from error
    missing = [c for c in columns if c not in header]
    if missing:
        raise DatasetError(f"{path}: no column '{missing[0]}'; it has: {', '.join(header)[:300]}")
    for line, row in rows:
        short = [name for name, value in row.items() if value is None]
        if short:
            raise DatasetError(
                f"{path}:{line}: no value for column '{short[0]}'; is the file cut off?"
            )
    return [{k: v for k, v in row.items() if k is not None} for _, row in rows]


def field_of(record: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Returns a field of a record after checking its type.

    Args:
        record: A JSON object.
        name: The field.
        kind: The type its value must have.
        where: The place for the error: file and record.

    Raises:
        DatasetError: The record is no object, lacks the field or has another type.
    """
    if not isinstance(record, dict):
        raise DatasetError(f"{where}: {type(record).__name__}; wanted an object")
    if name not in record:
        has = ", ".join(map(str, record))[:200]
        raise DatasetError(f"{where}: no field '{name}'; it has: {has}")
    value = record[name]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(k.__name__ for k in kinds)
        raise DatasetError(f"{where}: {name} is {type(value).__name__}; wanted {wanted}")
    return value


class VideoFolder:
    """Where the clips of a data set are; the folder is listed once.

    Args:
        folder: The folder given for videos; None: there are none.
    """

    SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg")

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._by_name: dict[str, list[str]] = {}
        self._files: set[str] = set()
        if folder is None:
            return
        if not folder.is_dir():
            raise DatasetError(f"--videos '{folder}': no such folder; give the one with the clips")
        seen: set[str] = set()
        for at, folders, files in os.walk(folder, followlinks=True):
            real = os.path.realpath(at)
            if real in seen:  # a link to a folder above it
                folders.clear()
                continue
            seen.add(real)
            for name in (*files, *folders):
                path = os.path.join(at, name)
                self._files.add(path)
                self._by_name.setdefault(name, []).append(path)

    def place(self, *expected: str) -> str:
        """Returns where a clip is: an absolute path, or, without a folder, the expected one.

        Looked for in this order: each expected path; the same with other video suffixes; a single
        file of that name anywhere below the folder (the suffix may differ). If it is nowhere, the
        first expected path comes back, and the caller reports it as missing.

        Args:
            expected: Paths below the video folder, the official one first. One without a suffix
                is a folder of frames.
        """
        if self.folder is None:
            return expected[0]
        root = os.path.abspath(self.folder)
        for one in expected:
            for path in self._spellings(os.path.join(self.folder, one)):
                if path in self._files:
                    return os.path.abspath(path)
        for one in expected:
            for name in self._spellings(os.path.basename(one)):
                found = self._by_name.get(name, [])
                if len(found) == 1:
                    return os.path.abspath(found[0])
        return os.path.join(root, expected[0])

    def _spellings(self, path: str) -> Iterator[str]:
        path = os.path.normpath(path)
        yield path
        stem, suffix = os.path.splitext(path)
        if suffix.lower() in self.SUFFIXES:
            yield from (stem + s for s in self.SUFFIXES if s != suffix)
