"""Decoding ahead keeps the order, stays a few clips ahead, and shares the cores."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from mtrans.data.clips import Clip
from mtrans.data.fill import Decoded, decode_ahead
from mtrans.video import threads


@pytest.mark.parametrize(("workers", "each"), [(1, 4), (2, 2), (4, 1)])
def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch, workers: int, each: int) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 4)
    seen: list[int] = []

    def decode(clip: Clip) -> Decoded:
        seen.append(threads.threads_for(1920, 1080))
        return Decoded(clip, np.zeros((1, 3, 1, 1), np.float32), np.zeros(1))

    clips = [Clip(str(i), None, None) for i in range(12)]
    ahead = decode_ahead(clips, decode, workers)
    assert [future.result().clip for _, future in ahead] == clips
    assert set(seen) == {each}
    assert threads.threads_for(1920, 1080) == 4  # afterwards, all are for whoever comes next


def test_only_a_few_clips_are_decoded_ahead() -> None:
    begun: list[str] = []
    lock = threading.Lock()

    def decode(clip: Clip) -> Decoded:
        with lock:
            begun.append(clip.video)
        return Decoded(clip, np.zeros((1, 3, 1, 1), np.float32), np.zeros(1))

    ahead = decode_ahead([Clip(str(i), None, None) for i in range(100)], decode, 2)
    next(ahead)[1].result()
    with lock:
        assert len(begun) <= 6
    ahead.close()
