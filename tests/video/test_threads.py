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


def test_cores_are_those_of_this_process() -> None:
    assert threads.cores() >= 1
