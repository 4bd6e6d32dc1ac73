"""In which order a run sees its samples, and how a step's batch is shared.

All training is one stream of seeded permutations, cut into batches of equal size. Batch ``s``
depends on the seed and on ``s`` alone: a resumed run and a run on two processes see the same
samples in the same steps, and no epoch ends in a small batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from mtrans.core.errors import SettingsError
from mtrans.core.settings import TrainSettings


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
    ):
        self.samples = samples
        self.steps = steps
        self.micro_batch = micro_batch
        self.accumulate = accumulate
        self.seed = seed
        self.rank = rank
        self.processes = processes

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
        passes = 0
        while True:
            order = np.random.default_rng([self.seed, passes]).permutation(self.samples)
            yield from order.tolist()
            passes += 1


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
