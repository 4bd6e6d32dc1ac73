"""File -> hash of its content, computed once and remembered by path, size and time of change."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mtrans.core.errors import CacheError, VideoError
from mtrans.core.files import file_hash, make_folder
from mtrans.video.frames_folder import FPS_FILE, pictures_of

# A file changed twice within one tick of the clock looks the same by time and size, so what was
# changed so recently is hashed again (git calls such entries racy).
SETTLED_NS = 2_000_000_000


@contextlib.contextmanager
def writing(folder: str | Path) -> Iterator[None]:
    """Turns "no space left", "permission denied" and their like into one line.

    Raises:
        CacheError: An operating system error occurred within.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise CacheError(f"cache {folder}: {why}; make room, or name another cache_dir") from error


class ContentIndex:
    """Remembers hashes in a JSONL file that several processes may append to.

    Args:
        path: The file; made with its folder at the first entry.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._known: dict[str, tuple[int, int, str]] = {}
        self._load()

    def digest(self, path: str | Path) -> str:
        """Returns size and SHA-256 of a file's content as text; of a folder's pictures, as one.

        Args:
            path: The file, or a folder of numbered pictures.

        Raises:
            VideoError: It can't be read.
        """
        name = os.path.abspath(path)
        if os.path.isdir(name):
            return self._digest_of_pictures(Path(name))
        try:
            state = os.stat(name)
            known = self._known.get(name)
            if known and known[:2] == (state.st_size, state.st_mtime_ns):
                return known[2]
            digest = f"{file_hash(name)[:40]}-{state.st_size}"
        except OSError as error:
            raise VideoError(f"{path}: can't be read: {error.strerror}") from error
        if time.time_ns() - state.st_mtime_ns > SETTLED_NS:
            self._known[name] = (state.st_size, state.st_mtime_ns, digest)
            self._append(name, state.st_size, state.st_mtime_ns, digest)
        return digest

    def _digest_of_pictures(self, folder: Path) -> str:
        files = [*pictures_of(folder), *filter(Path.is_file, [folder / FPS_FILE])]
        lines = "".join(f"{file.name}\t{self.digest(file)}\n" for file in files)
        return f"{hashlib.sha256(lines.encode()).hexdigest()[:40]}-{len(files)}"

    def _append(self, *entry: str | int) -> None:
        line = json.dumps(entry) + "\n"
        with writing(self.path.parent):
            make_folder(self.path.parent)
            # one write of one line to a file opened for appending: two processes' lines don't mix
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)

    def _load(self) -> None:
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError:
            return  # an index only saves time; if the folder is at fault, writing says so
        for line in lines:
            try:
                name, size, changed, digest = json.loads(line)
            except ValueError:
                continue  # a line cut off by a crash only costs one more hash
            self._known[name] = (size, changed, digest)
