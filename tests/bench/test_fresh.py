"""A case runs in a process of its own and its memory is its own."""

from __future__ import annotations

import os

import numpy as np
import pytest

from mtrans.bench.fresh import CaseError, fresh, peak_mb


def show(**given):
    """What a case sees; called in the other process."""
    return {"pid": os.getpid(), "given": given, "peak": peak_mb()}


def stop():
    raise ValueError("no such thing")


@pytest.fixture(autouse=True)
def findable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(os.path.abspath(__file__)))


def test_a_case_is_another_process_with_its_own_peak():
    held = np.ones(64 * 2**20, np.uint8)  # of this process, not of the case
    result = fresh("test_fresh:show", {"a": 1, "b": [2.5, None]})
    assert held.sum() > 0
    assert result["pid"] != os.getpid()
    assert result["given"] == {"a": 1, "b": [2.5, None]}
    assert 1 < result["peak"] < peak_mb()


def test_what_a_failed_case_said_is_told():
    with pytest.raises(CaseError, match=r"test_fresh:stop.*no such thing"):
        fresh("test_fresh:stop", {})
