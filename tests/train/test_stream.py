"""The order in which samples are seen, alone and shared by processes."""

from __future__ import annotations

from collections import Counter

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.settings import TrainSettings
from mtrans.train.stream import StreamBatches, split_batch


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
