"""A process's memory: how much, and what becomes of what it freed and of files it has read."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import platform
import sys
from dataclasses import dataclass

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory for the next request instead of handing it to the system.

    Each training step and each pass of the ViT asks for the same tensors again; by default memory
    goes back in between, and the system has to fill every page with zeros anew: by hand, 5 to 13 %
    of a training step's processor time on a CPU and about 10 % of the ViT's (docs/LOG.md). The peak
    of a step is as before, the ViT's up to 7 % higher; afterwards the process stays that large.

    Returns:
        Whether this process uses glibc and took it.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        # the first forbids giving back what is free at the end of the heap, the second what was
        # mapped by itself, which blocks of up to 512 MiB then no longer are
        return all((mallopt(_TRIM_THRESHOLD, 2**31 - 1), mallopt(_MMAP_THRESHOLD, 2**29)))
    return False


def forget_peak() -> bool:
    """Has the peak of :func:`memory_of_process` start anew at what is resident now (Linux).

    Returns:
        Whether the system took it; elsewhere the peak stays that of the process's whole life.
    """
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
        return True
    return False


def memory_of_process() -> tuple[int, int]:
    """Returns the bytes this process has resident, and the most since :func:`forget_peak` or ever.

    On Linux from ``VmHWM``, not `ru_maxrss`, which starts with that of whoever started the process.
    """
    with contextlib.suppress(OSError, KeyError, ValueError):
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        now, peak = (1024 * int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM"))
        return now, peak
    if sys.platform == "win32":
        import psutil  # comes with accelerate

        used = psutil.Process().memory_info()
        return used.rss, used.peak_wset
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    most = most if sys.platform == "darwin" else 1024 * most  # kilobytes elsewhere
    return most, most


@dataclass(frozen=True)
class MappedFiles:
    """The files that are mapped into this process's memory, as of now.

    Of a mapped file all that was ever read counts as this process's memory, until the last use of
    any part of it ends.

    Attributes:
        spans: First address and the one behind the last of each stretch.
    """

    spans: tuple[tuple[int, int], ...]

    @classmethod
    def now(cls) -> MappedFiles:
        """Looks; finds none where the system (not Linux) does not tell."""
        spans = []
        with contextlib.suppress(OSError), open("/proc/self/maps", "rb") as lines:
            for line in lines:
                span, _, _, _, inode, *_ = line.split()
                if inode != b"0":
                    low, high = span.split(b"-")
                    spans.append((int(low, 16), int(high, 16)))
        return cls(tuple(spans))

    def let_go(self, address: int, size: int) -> bool:
        """Takes pages out of this process's memory; they stay in the system's cache.

        Whoever reads them again gets them from the file, so they must not have been written to.

        Args:
            address: Where the bytes are; of pages that they share with others nothing is done.
            size: How many.

        Returns:
            Whether they were a file's, and the system took it.
        """
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE
        if first >= end or not any(low <= first and end <= high for low, high in self.spans):
            return False
        pages = ctypes.c_void_p(first), ctypes.c_size_t(end - first)
        return ctypes.CDLL(None).madvise(*pages, mmap.MADV_DONTNEED) == 0
