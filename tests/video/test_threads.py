"""Decoders at work together take no more threads than there are cores."""

from __future__ import annotations

import pytest

from mtrans.video import threads


@pytest.mark.parametrize("cores", [1, 2, 8, 96])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_never_more_threads_than_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, count: int
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: cores)
    with threads.decoders(count):
        each = threads.threads_for(1920, 1080)
        assert each >= 1
        assert each == 1 or each * count <= cores
        with threads.decoders(2):
            assert threads.threads_for(1920, 1080) <= each
        assert threads.threads_for(1920, 1080) == each
    assert threads.threads_for(64, 64) == 1


def test_cores_are_shared_between_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert threads.cores() == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert threads.cores() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")  # whoever sets it has shared them out
    assert threads.cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert threads.cores() == 16
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert threads.cores() == 4
