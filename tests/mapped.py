"""What of a mapped file is in this process's memory."""

from __future__ import annotations

import sys

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="pages are looked up in /proc")


def resident(array) -> int:
    """Returns the bytes in memory of the mapping that holds an array."""
    here, found = array.__array_interface__["data"][0], False
    with open("/proc/self/smaps", encoding="utf-8") as lines:
        for line in lines:
            first, _, rest = line.partition(" ")
            if "-" in first and not first.endswith(":"):
                low, high = (int(end, 16) for end in first.split("-"))
                found = low <= here < high
            elif found and first == "Rss:":
                return int(rest.split()[0]) * 1024
    raise AssertionError("not mapped")
