"""In which order a run sees its samples, and how a step's batch is shared.

All training is one stream of seeded permutations, cut into batches of equal size. Batch ``s``
depends on the seed and on ``s`` alone: a resumed run and a run on two processes see the same
samples in the same steps, and no epoch ends in a small batch. Within a pass samples may be
arranged by the length of their texts, or by clip (:class:`Arrangement`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from mtrans.core.errors import SettingsError
from mtrans.core.settings import TrainSettings

WINDOW = 50
"""Batches among which samples are sorted by length: enough that a batch's texts are nearly of one
length, few enough that what is seen together changes from pass to pass."""


@dataclass(frozen=True)
class Arrangement:
    """What the order of samples heeds, beside chance; nothing by default.

    Attributes:
        lengths: Of each sample its text's length: a batch holds texts of similar length, so that
            little of it is padding.
        clips: Of each sample its clip: a clip's samples come in a row.
    """

    lengths: Sequence[int] | None = None
    clips: Sequence[Hashable] | None = None


RANDOM = Arrangement()


class StreamBatches(Sampler[list[int]]):
    """One process's share of a stream of seeded permutations, cut into equal batches.

    Args:
        samples: How many samples there are.
        steps: Optimizer steps.
        micro_batch: Samples of one forward pass.
        accumulate: Forward passes of one process in an optimizer step.
        seed: Seeds the permutations.
        rank: This process.
        processes: Processes.
        arrangement: What the order heeds.
    """

    def __init__(
        self,
        samples: int,
        *,
        steps: int,
        micro_batch: int,
        accumulate: int = 1,
        seed: int = 0,
        rank: int = 0,
        processes: int = 1,
        arrangement: Arrangement = RANDOM,
    ):
        self.samples = samples
        self.steps = steps
        self.micro_batch = micro_batch
        self.accumulate = accumulate
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.arrangement = arrangement

    def __len__(self) -> int:
        return self.steps * self.accumulate

    def __iter__(self) -> Iterator[list[int]]:
        stream = self._stream()
        for _ in range(self.steps):
            for _ in range(self.accumulate):
                batches = [
                    [next(stream) for _ in range(self.micro_batch)] for _ in range(self.processes)
                ]
                yield batches[self.rank]

    def _stream(self) -> Iterator[int]:
        if self.arrangement.lengths is None:
            yield from self._passes()
        else:
            yield from self._by_length(self.arrangement.lengths)

    def _passes(self) -> Iterator[int]:
        """Yields pass after pass over all samples."""
        done = 0
        while True:
            yield from self._pass(done)
            done += 1

    def _pass(self, number: int) -> list[int]:
        order = np.random.default_rng([self.seed, number]).permutation(self.samples).tolist()
        clips = self.arrangement.clips
        if clips is None:
            return list(order)
        first: dict[Hashable, int] = {}
        for place, sample in enumerate(order):
            first.setdefault(clips[sample], place)
        return sorted(order, key=lambda sample: first[clips[sample]])

    def _by_length(self, lengths: Sequence[int]) -> Iterator[int]:
        """Sorts within windows of a pass; a batch that joins two passes is left as it is drawn."""
        size = self.micro_batch * self.accumulate * self.processes
        left, waiting, windows, passes = self.steps, list[int](), 0, 0
        while True:
            order, passes = self._pass(passes), passes + 1
            joined = (size - len(waiting)) % size
            waiting, order = waiting + order[:joined], order[joined:]
            if len(waiting) == size:
                yield from waiting
                left, waiting = left - 1, []
            while len(order) >= size:
                # not beyond the run's end: the last samples drawn are those of a random order
                count = min(WINDOW, len(order) // size, max(1, left))
                window, order = order[: count * size], order[count * size :]
                window.sort(key=lambda sample: lengths[sample])
                rng = np.random.default_rng([self.seed, windows, WINDOW])
                for batch in rng.permutation(count).tolist():
                    yield from window[batch * size : (batch + 1) * size]
                left, windows = left - count, windows + 1
            waiting += order


def split_batch(settings: TrainSettings, processes: int) -> tuple[int, int]:
    """Splits the batch of an optimizer step over processes and forward passes.

    Args:
        settings: `batch_size` and `micro_batch_size`.
        processes: Processes that train together.

    Returns:
        Clips of one forward pass, and forward passes a step on each process.

    Raises:
        SettingsError: It can't be split evenly.
    """
    share, rest = divmod(settings.batch_size, processes)
    if rest or not share:
        raise SettingsError(
            f"train.batch_size={settings.batch_size} can't be shared by {processes} processes;"
            f" choose a multiple of {processes}"
        )
    micro = min(settings.micro_batch_size or share, share)
    if share % micro:
        raise SettingsError(
            f"train.micro_batch_size={micro} does not divide the {share} clips a process gets of"
            f" train.batch_size={settings.batch_size}"
        )
    return micro, share // micro
