"""How fast features come from the cache, beside how fast the disk gives the same bytes.

*warm*: the files are in the system's page cache, as in every epoch but the first. *cold*: they were
dropped from it (`posix_fadvise`; a host's or a disk's own memory can't be dropped from here). The
first look at a clip checks its checksum; cold is with that, warm without, as a training meets them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtrans.data.forms import as_tensor, stored_bytes
from mtrans.data.shards import ShardStore, ShardWriter

BLOCK = 8 << 20


@dataclass(frozen=True)
class Reading:
    """How one form of the cache is read.

    Attributes:
        form: Of :data:`mtrans.data.forms.FORMS`.
        clip_bytes: Bytes of a clip on disk.
        warm: Clips a second from the page cache.
        cold: Clips a second from the disk; None where the page cache can't be dropped.
        disk_warm: Bytes a second of reading the files through, from the page cache,
        disk_cold: and from the disk.
    """

    form: str
    clip_bytes: int
    warm: float
    cold: float | None
    disk_warm: float
    disk_cold: float | None

    @property
    def share_warm(self) -> float:
        """Bytes a second of the cache over those of reading the files through."""
        return self.warm * self.clip_bytes / self.disk_warm

    @property
    def share_cold(self) -> float | None:
        """As `share_warm`, cold."""
        if self.cold is None or not self.disk_cold:
            return None
        return self.cold * self.clip_bytes / self.disk_cold


def read_features(
    folder: Path, shape: Sequence[int], form: str, *, size: int = 256 << 20, batch: int = 4
) -> Reading:
    """Writes features of clips, and reads them in random order, in batches.

    Args:
        folder: Where; what is written stays there.
        shape: Of a clip: (T, P, Cv).
        form: How they lie on disk.
        size: Bytes written, at least two batches.
        batch: Clips in a batch, in one piece as training gets it.

    Returns:
        The speeds.
    """
    one = stored_bytes(shape, form)
    count = max(2 * batch, size // one)
    numbers = np.random.default_rng(0).standard_normal(tuple(shape), dtype=np.float32)
    with ShardWriter(folder, shard_seconds=3600) as writer:
        for clip in range(count):
            writer.put(str(clip), numbers, np.zeros(shape[0]), form)
    order = [str(n) for n in np.random.default_rng(1).permutation(count)]
    files = sorted(folder.glob("*.bin"))
    store, space = ShardStore(folder), _space(batch, shape, form)

    def cached() -> float:
        began = time.perf_counter()
        for first in range(0, count, batch):
            for row, key in enumerate(order[first : first + batch]):
                space[row].copy_(as_tensor(store.get(key)[0]))
        return time.perf_counter() - began

    cold = disk_cold = None
    if _drop(files):
        cold = count / cached()
        _drop(files)
        disk_cold = _through(files)
    else:
        cached()  # the checksums
    warm = count / min(cached() for _ in range(2))
    disk_warm = max(_through(files) for _ in range(2))
    return Reading(form, one, warm, cold, disk_warm, disk_cold)


def _space(batch: int, shape: Sequence[int], form: str) -> Tensor:
    """Returns where a batch goes, in the type that training gets."""
    dtype = torch.bfloat16 if form == "bfloat16" else torch.float32
    return torch.empty((batch, *shape), dtype=dtype)


def _drop(files: Sequence[Path]) -> bool:
    """Takes files out of the page cache; returns whether that can be done here."""
    drop: Callable[..., None] | None = getattr(os, "posix_fadvise", None)
    if drop is None:
        return False
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            drop(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
    return True


def _through(files: Sequence[Path]) -> float:
    """Reads files from beginning to end; returns bytes a second."""
    block, total = bytearray(BLOCK), 0
    began = time.perf_counter()
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while got := file.readinto(block):
                total += got
    return total / (time.perf_counter() - began)
