"""Freed memory is kept: what is asked for again costs no new pages. Read files are let go of."""

from __future__ import annotations

import mmap
import platform
import subprocess
import sys

import numpy as np
import pytest

from mapped import LINUX, resident
from mtrans.core import memory
from mtrans.core.memory import MappedFiles

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


PEAK = """
from mtrans.core import memory
block = bytearray(b"x") * 2**28
del block
before = memory.memory_of_process()[1]
print(before - memory.memory_of_process()[1] if memory.forget_peak() else "not here")
"""


@LINUX
def test_a_peak_can_start_anew():
    # a process of its own: in one that other tests have filled, what is freed may be kept
    out = subprocess.run(
        [sys.executable, "-c", PEAK], capture_output=True, text=True, check=True
    ).stdout.strip()
    if out == "not here":
        pytest.skip("this system lets no process forget its peak")
    assert int(out) > 2**27


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_what_was_freed_is_used_again():
    assert new_pages("keep_freed_memory()") < 100
    assert new_pages("") > 1000


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("called"))
    assert not memory.keep_freed_memory()


@LINUX
def test_pages_of_a_file_are_let_go_of_and_come_back(tmp_path):
    numbers = np.arange(2**20, dtype=np.int32)
    numbers.tofile(tmp_path / "file")
    read = np.memmap(tmp_path / "file", np.int32, "c")  # private, as checkpoints are mapped
    assert int(read.sum(dtype=np.int64)) == int(numbers.sum(dtype=np.int64))
    assert resident(read) == read.nbytes
    half = read[: len(read) // 2]
    inner = half[1:]  # begins within a page, whose first number is another's
    assert MappedFiles.now().let_go(inner.__array_interface__["data"][0], inner.nbytes)
    kept = resident(read) - read.nbytes // 2
    assert 0 <= kept <= mmap.PAGESIZE  # a system with larger pages may let go of the shared one
    assert np.array_equal(read, numbers)


@LINUX
def test_memory_that_is_no_files_is_left_alone():
    numbers = np.arange(2**20, dtype=np.int32)
    assert not MappedFiles.now().let_go(numbers.__array_interface__["data"][0], numbers.nbytes)
    assert np.array_equal(numbers, np.arange(2**20))


def test_a_system_that_does_not_tell_is_left_alone():
    read = MappedFiles(())
    assert not read.let_go(0, 2**20)
