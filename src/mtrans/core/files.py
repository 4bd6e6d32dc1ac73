"""Files that appear whole or not at all, and what tells their contents apart."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self


class Closing(ABC):
    """What is closed at the end of a ``with`` block, also after an error."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def write_text(file: Path, text: str, *, sync: bool = False) -> None:
    """Writes a text file so that a reader sees the old text or the new one, never a part.

    Args:
        file: The file; its folder must be there.
        text: Written as UTF-8, lines ending as they do in it.
        sync: Have the text on the disk before it takes its place, for files that others trust to
            be complete after a power cut.

    Raises:
        OSError: It can't be written; what was there before is unharmed.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def file_hash(file: str | Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
