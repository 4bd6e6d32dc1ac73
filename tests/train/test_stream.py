"""The order in which samples are seen, alone and shared by processes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.settings import TrainSettings
from mtrans.train.stream import WINDOW, Arrangement, StreamBatches, split_batch


def test_stream_sees_every_sample_equally_often_in_full_batches() -> None:
    batches = list(StreamBatches(10, steps=5, micro_batch=4, seed=3))
    assert [len(b) for b in batches] == [4] * 5
    assert Counter(i for b in batches for i in b) == Counter({i: 2 for i in range(10)})
    first, second = [i for b in batches for i in b][:10], [i for b in batches for i in b][10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert batches == list(StreamBatches(10, steps=5, micro_batch=4, seed=3))
    assert batches != list(StreamBatches(10, steps=5, micro_batch=4, seed=4))


@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (1, 2), (2, 2)])
def test_shares_of_a_step_add_up_to_the_step_of_one_process(
    processes: int, accumulate: int
) -> None:
    whole = list(StreamBatches(30, steps=4, micro_batch=8, seed=1))
    shares = [
        list(
            StreamBatches(
                30,
                steps=4,
                micro_batch=8 // processes // accumulate,
                accumulate=accumulate,
                seed=1,
                rank=rank,
                processes=processes,
            )
        )
        for rank in range(processes)
    ]
    for step, batch in enumerate(whole):
        parts = [share[step * accumulate + a] for share in shares for a in range(accumulate)]
        assert sorted(i for part in parts for i in part) == sorted(batch)


def test_a_batch_that_can_not_be_split_is_an_error() -> None:
    with pytest.raises(SettingsError, match="can't be shared by 3 processes"):
        split_batch(TrainSettings(batch_size=32), 3)
    with pytest.raises(SettingsError, match="micro_batch_size=5 does not divide"):
        split_batch(TrainSettings(batch_size=32, micro_batch_size=5), 1)
    assert split_batch(TrainSettings(batch_size=32, micro_batch_size=4), 2) == (4, 4)


LENGTHS = [(7 * i) % 23 for i in range(103)]


def test_batches_of_one_length_hold_every_sample_once_a_pass() -> None:
    arranged = Arrangement(lengths=LENGTHS)
    batches = list(StreamBatches(103, steps=30, micro_batch=8, seed=3, arrangement=arranged))
    plain = list(StreamBatches(103, steps=30, micro_batch=8, seed=3))
    assert [len(b) for b in batches] == [8] * 30

    def spread(some: list[list[int]]) -> float:
        return sum(max(LENGTHS[i] for i in b) - min(LENGTHS[i] for i in b) for b in some) / 30

    assert spread(batches) < spread(plain) / 4
    counts = Counter(i for b in batches for i in b)  # 240 samples: two passes and 34 more
    assert min(counts.values()) == 2
    assert max(counts.values()) == 3
    assert sum(len(set(b)) == 8 for b in batches) >= 28  # two batches join passes
    mean = [sum(LENGTHS[i] for i in b) for b in batches[:12]]
    assert mean != sorted(mean)  # not from short to long


def test_the_end_of_a_run_draws_the_samples_of_a_random_order() -> None:
    """Or a run of a few steps would see short texts alone."""
    arranged = Arrangement(lengths=LENGTHS)
    batches = list(StreamBatches(103, steps=3, micro_batch=8, seed=3, arrangement=arranged))
    plain = list(StreamBatches(103, steps=3, micro_batch=8, seed=3))
    assert sorted(i for b in batches for i in b) == sorted(i for b in plain for i in b)
    assert WINDOW > 3


@pytest.mark.parametrize("arranged", [Arrangement(lengths=LENGTHS), Arrangement(clips=LENGTHS)])
def test_arranged_steps_are_the_same_for_any_number_of_processes(arranged: Arrangement) -> None:
    whole = list(StreamBatches(103, steps=20, micro_batch=8, seed=1, arrangement=arranged))
    shares = [
        list(
            StreamBatches(
                103,
                steps=20,
                micro_batch=2,
                accumulate=2,
                seed=1,
                rank=rank,
                processes=2,
                arrangement=arranged,
            )
        )
        for rank in range(2)
    ]
    for step, batch in enumerate(whole):
        parts = [share[2 * step + a] for share in shares for a in range(2)]
        assert sorted(i for part in parts for i in part) == sorted(batch)


def test_questions_of_a_clip_come_in_a_row() -> None:
    clips = [i % 5 for i in range(20)]
    arranged = Arrangement(clips=clips)
    first, second = (
        [clips[i] for i in b]
        for b in StreamBatches(20, steps=2, micro_batch=20, seed=0, arrangement=arranged)
    )
    for order in (first, second):
        assert sum(a != b for a, b in pairwise(order)) == 4
    assert first != second
