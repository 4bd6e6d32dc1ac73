"""Freed memory is kept: what is asked for again costs no new pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from mtrans.core import memory

FAULTS = """
import resource
from mtrans.core.memory import keep_freed_memory
{call}
pages = []
for _ in range(6):
    block = bytearray(64 * 2**20)  # mapped by itself by default, whatever was asked for before
    del block
    pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(pages[-1] - pages[1])
"""


def new_pages(call: str) -> int:
    out = subprocess.run(
        [sys.executable, "-c", FAULTS.format(call=call)], capture_output=True, text=True, check=True
    )
    return int(out.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_what_was_freed_is_used_again():
    assert new_pages("keep_freed_memory()") < 100
    assert new_pages("") > 1000


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("called"))
    assert not memory.keep_freed_memory()
