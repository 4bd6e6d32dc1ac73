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
    """Returns this process's share of the processor's cores.

    ``OMP_NUM_THREADS`` says it, where it is set; else processes that were launched together on this
    machine (``LOCAL_WORLD_SIZE``, of torchrun and accelerate) share the cores evenly.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    given = _number("OMP_NUM_THREADS")
    share = min(there or 1, given) if given else (there or 1) // (_number("LOCAL_WORLD_SIZE") or 1)
    return max(1, share)


def set_decoders(count: int) -> None:
    """Says that so many files are decoded at once on this process's share of the cores.

    A loader's worker processes share what their parent has: call it in each with their number.
    Within a process, use `decoders`.
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


def _number(variable: str) -> int | None:
    """Returns a positive number from the environment, of a list (as OpenMP has it) the first."""
    given = os.environ.get(variable, "").split(",")[0].strip()
    return int(given) if given.isdigit() and int(given) > 0 else None
