"""What a process does with memory that it has freed."""

from __future__ import annotations

import contextlib
import ctypes
import platform

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
