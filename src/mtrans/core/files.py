"""Files that appear whole or not at all, and what tells their contents apart."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from mtrans.core.errors import CheckpointError, OutputError


class Closing(ABC):
    """What is closed at the end of a ``with`` block, also after an error."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def make_folder(folder: str | Path) -> Path:
    """Makes a folder with its parents, where it is not there yet.

    Args:
        folder: The folder.

    Returns:
        The folder.

    Raises:
        OutputError: It can't be made: a file is in the way, or the place is not writable.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        way = next((p for p in (folder, *folder.parents) if p.is_file()), None)
        why = f"'{way}' is a file" if way is not None else error.strerror
        raise _output_error(f"folder '{folder}' can't be made: {why}", error) from error
    return folder


def _output_error(words: str, cause: OSError) -> OutputError:
    """Returns an error that says where, and keeps the system's reason for who words it anew."""
    error = OutputError(words)
    error.strerror = cause.strerror
    return error


def write_text(file: Path, text: str, *, sync: bool = False) -> None:
    """Writes a text file so that a reader sees the old text or the new one, never a part.

    Args:
        file: The file; its folder must be there.
        text: Written as UTF-8, lines ending as they do in it.
        sync: Have the text on the disk before it takes its place, for files that others trust to
            be complete after a power cut.

    Raises:
        OutputError: It can't be written; what was there before is unharmed.
    """
    write_bytes(file, text.encode(), sync=sync)


def write_bytes(file: Path, content: bytes, *, sync: bool = False) -> None:
    """Writes a file as :func:`write_text` does, whatever is in it.

    Raises:
        OutputError: It can't be written; what was there before is unharmed.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        partial.replace(file)
    except BaseException as error:
        with contextlib.suppress(OSError):  # a file where its folder should be, for one
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _output_error(f"'{file}' can't be written: {error.strerror}", error) from error
        raise


def file_hash(file: str | Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def append_jsonl(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Appends JSON lines to a file; a last line that a kill cut short goes."""
    with file.open("a+b") as stream:
        _end_last_line(stream)
        for record in records:
            stream.write((json.dumps(record, ensure_ascii=False) + "\n").encode())


def _end_last_line(stream: BinaryIO) -> None:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 1))
    if stream.read() in (b"", b"\n"):
        return
    stream.seek(0)
    begin = stream.read().rfind(b"\n") + 1
    stream.seek(begin)
    try:
        json.loads(stream.read())
    except ValueError:
        stream.truncate(begin)
    else:
        stream.write(b"\n")


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    """Reads JSON lines; a last line cut short by a kill is left out."""
    records = []
    text = file.read_bytes() if file.exists() else b""
    # not splitlines: U+2028 may be in a text
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            if number == len(lines) and not text.endswith(b"\n"):
                break
            why = getattr(error, "msg", "not UTF-8")
            raise CheckpointError(f"'{file}' line {number} is not JSON: {why}") from error
    return records
