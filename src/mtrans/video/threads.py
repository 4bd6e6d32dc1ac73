"""How many threads a decoder takes: all decoders at work together never more than the cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 4
"""Threads of one decoder at most: each holds frames of its own, and the gain levels off."""

SMALL = 128 * 128
"""Pixels of a frame below which starting threads costs more than they gain."""

_decoders = 1


def cores() -> int:
    """Returns the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_decoders(count: int) -> None:
    """Says that so many files are decoded at once, in this process and those beside it.

    Call it in each worker process of a loader; within a process, use `decoders`.
    """
    global _decoders
    _decoders = max(1, count)


@contextmanager
def decoders(count: int) -> Iterator[None]:
    """As `set_decoders`, while a pool of this process's threads is at work."""
    before = _decoders
    set_decoders(count * before)
    try:
        yield
    finally:
        set_decoders(before)


def threads_for(width: int, height: int) -> int:
    """Returns the threads that one decoder may take for frames of a size."""
    if width * height < SMALL:
        return 1
    return max(1, min(cores() // _decoders, MOST))
