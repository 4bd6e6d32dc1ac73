"""Arrays by key, in write-once files: what the feature cache is built on.

    <writer>-0.bin    the arrays, one after another        <writer>-0.json    what lies where

A shard is written under a temporary name, flushed to disk and renamed, first ``.bin``, then
``.json``; what has no ``.json`` does not exist. So a killed writer leaves nothing half-done, and
any number of processes can write at once without a lock: each has shards of its own, and readers
take the union. A key that two have written holds the same array twice, and either will do.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import time
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtrans.core.errors import CacheError
from mtrans.core.files import Closing, make_folder, write_text
from mtrans.data.content import writing
from mtrans.data.forms import FORMS, pack, stored_bytes, unpack

if TYPE_CHECKING:
    from torch import Tensor

ALIGN = 64

RESIDENT_BYTES = 16 << 20
"""What is read of the files until their pages are given back to the system's cache."""


class Entry(NamedTuple):
    """Where an array lies."""

    shard: str
    offset: int
    shape: tuple[int, ...]
    dtype: str
    times: tuple[float, ...]
    crc: int


class ShardStore:
    """Reads all shards of a folder.

    Args:
        folder: Where they are; need not exist yet.

    Attributes:
        entries: Key -> place, as of the last :meth:`refresh`.
        damaged: Shard name -> what is wrong with it; its entries are not in `entries`.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.entries: dict[str, Entry] = {}
        self.damaged: dict[str, str] = {}
        self._seen: set[str] = set()
        self._maps: dict[str, mmap.mmap] = {}
        self._read = 0
        self._verified: set[str] = set()
        self.refresh()

    def __getstate__(self) -> dict[str, Any]:
        # a memory map would be pickled as a full copy; a worker process opens its own
        return {**vars(self), "_maps": {}}

    def refresh(self) -> None:
        """Takes in shards that were finished since the last look."""
        try:
            names = sorted(e.name[:-5] for e in os.scandir(self.folder) if e.name.endswith(".json"))
        except (FileNotFoundError, NotADirectoryError):
            return  # nothing was written yet
        for name in names:
            if name in self._seen or name == "spec":
                continue
            self._seen.add(name)
            try:
                self._take(name)
            except (OSError, ValueError, KeyError, TypeError) as error:
                self.damaged[name] = str(error) or type(error).__name__

    def _take(self, name: str) -> None:
        described = json.loads((self.folder / f"{name}.json").read_bytes())
        size = (self.folder / f"{name}.bin").stat().st_size
        if size != described["bytes"]:
            raise ValueError(f"{size} bytes; wanted {described['bytes']}")
        for key, offset, shape, dtype, times, crc in described["entries"]:
            if dtype not in FORMS:
                raise ValueError(f"dtype '{dtype}'; wanted one of {', '.join(FORMS)}")
            entry = Entry(name, offset, tuple(shape), dtype, tuple(times), crc)
            self.entries.setdefault(key, entry)

    def get(self, key: str) -> tuple[NDArray[np.floating] | Tensor, NDArray[np.float64]]:
        """Returns (array, times); the array is mapped from the file and read-only.

        What lies there in bfloat16 comes as a tensor, in 8 bit as float32, made anew.

        Args:
            key: One of `entries`.

        Raises:
            CacheError: The stored bytes are not those that were written.
        """
        entry = self.entries[key]
        path = self.folder / f"{entry.shard}.bin"
        if entry.shard not in self._maps:
            try:
                with open(path, "rb") as file:
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise CacheError(f"{path}: can't be read: {error}; fill the cache again") from error
            self._maps[entry.shard] = mapped
        size = stored_bytes(entry.shape, entry.dtype)
        self._make_room(size)
        raw = np.frombuffer(self._maps[entry.shard], np.uint8, size, entry.offset)
        if key not in self._verified:
            if zlib.crc32(raw.data) != entry.crc:
                raise CacheError(
                    f"{path}: damaged (checksum of {key}); delete this file and fill the cache"
                    " again, which computes its clips anew"
                )
            self._verified.add(key)
        array = unpack(raw, entry.shape, entry.dtype)
        return array, np.array(entry.times, dtype=np.float64)

    def _make_room(self, size: int) -> None:
        """Bounds the memory that mapped files take; arrays handed out are read anew where needed.

        Otherwise all that was ever read would count as this process's memory.
        """
        self._read += size
        if self._read > RESIDENT_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self._read = size
            for mapped in self._maps.values():
                mapped.madvise(mmap.MADV_DONTNEED)

    def remove_damaged(self) -> None:
        """Deletes damaged shards, so that what was in them is computed again."""
        for name in self.damaged:
            # the description first: an array file without one does not exist for readers
            (self.folder / f"{name}.json").unlink(missing_ok=True)
            (self.folder / f"{name}.bin").unlink(missing_ok=True)
        self.damaged.clear()


class ShardWriter(Closing):
    """Writes arrays into shards of its own; use it as a context manager.

    Args:
        folder: Where the shards go; it is made.
        shard_bytes: A shard is closed when it is this large,
        shard_seconds: or this old, which bounds what a kill can cost.
    """

    def __init__(
        self, folder: str | Path, *, shard_bytes: int = 64 << 20, shard_seconds: float = 10.0
    ):
        self.folder = Path(folder)
        self.shard_bytes = shard_bytes
        self.shard_seconds = shard_seconds
        host = socket.gethostname().replace("~", "-")
        self._name = f"{uuid.uuid4().hex[:12]}~{host}~{os.getpid()}"
        self._number = 0
        self._file: BinaryIO | None = None
        self._entries: list[tuple[Any, ...]] = []
        self._opened = 0.0
        with writing(self.folder):
            make_folder(self.folder)
            _remove_leftovers(self.folder, host)

    def put(
        self,
        key: str,
        array: NDArray[np.floating],
        times: NDArray[np.float64],
        form: str | None = None,
    ) -> None:
        """Adds an array; others see it once its shard is closed.

        Args:
            key: Its name.
            array: float32 or float16, any shape.
            times: float64[T], kept beside it.
            form: How it lies there, of :data:`mtrans.data.forms.FORMS`; None leaves it as it is.

        Raises:
            CacheError: The disk is full, or can't be written for another reason.
        """
        form = form or array.dtype.name
        raw = pack(array, form)
        with writing(self.folder):
            if self._file is None:
                self._file = open(self._path(".tmp"), "wb")  # noqa: SIM115 - open over many calls
                self._opened = time.monotonic()
            offset = self._file.tell()
            self._file.write(raw + b"\0" * (-len(raw) % ALIGN))
        place = (key, offset, array.shape, form, times.tolist(), zlib.crc32(raw))
        self._entries.append(place)
        old = time.monotonic() - self._opened > self.shard_seconds
        if old or self._file.tell() >= self.shard_bytes:
            self.close()

    def close(self) -> None:
        """Finishes the open shard, if there is one; the next `put` begins another.

        Raises:
            CacheError: The disk is full, or can't be written for another reason.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        with writing(self.folder):
            with file:
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._path(".tmp"), self._path(".bin"))
            described = json.dumps({"bytes": size, "entries": self._entries})
            write_text(self._path(".json"), described, sync=True)
        self._entries = []
        self._number += 1

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self._name}~{self._number}{suffix}"


def _remove_leftovers(folder: Path, host: str) -> None:
    """Deletes what killed writers of this machine left without a description."""
    for path in folder.iterdir():
        parts = path.name.split("~")
        if len(parts) != 4 or parts[1] != host or path.suffix == ".json":
            continue
        if path.suffix == ".bin" and path.with_suffix(".json").exists():
            continue
        if not _alive(int(parts[2])):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
