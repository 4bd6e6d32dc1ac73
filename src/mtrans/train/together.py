"""The processes that work on one thing together: who they are, and what they tell each other.

`torchrun` and `accelerate launch` start the same program several times. Each of these processes
does its share; the main one (rank 0) writes files and speaks. What one of them runs into, all of
them raise: nobody waits for a process that is gone.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from accelerate import PartialState

from mtrans.core.errors import MTransError
from mtrans.core.records import Sample
from mtrans.data.clips import clip_of

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """This process among those that work together.

    Attributes:
        rank: This process.
        processes: How many there are.
    """

    rank: int = 0
    processes: int = 1

    @property
    def main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether this process works alone."""
        return self.processes == 1

    def share(self, things: Sequence[T]) -> list[T]:
        """Returns this process's share; the shares of all are everything, once."""
        return list(things[self.rank :: self.processes])

    def by_clip(self, samples: Sequence[Sample]) -> list[Sample]:
        """Returns this process's share of samples, so that no two processes see the same clip."""
        if self.alone:
            return list(samples)
        keys = [s.id if s.video is None else clip_of(s) for s in samples]
        own = set(self.share(list(dict.fromkeys(keys))))
        return [s for s, key in zip(samples, keys, strict=True) if key in own]

    def collect(self, thing: T) -> list[T]:
        """Returns what each process gives, in the order of their ranks; all must call it."""
        if self.alone:
            return [thing]
        found: list[Any] = [None] * self.processes
        torch.distributed.all_gather_object(found, thing)
        return cast(list[T], found)

    def together(self, do: Callable[[], T]) -> list[T]:
        """Has each process do its part.

        Args:
            do: What this process does.

        Returns:
            What came of it in each process, in the order of their ranks.

        Raises:
            MTransError: The first one that a process ran into.
        """
        done: Any = None
        try:
            done = do()
        except MTransError as error:
            done = error
        found = self.collect(done)
        for outcome in found:
            if isinstance(outcome, MTransError):
                raise outcome
        return found

    def in_main(self, do: Callable[[], T]) -> T:
        """Has the main process do something while the others wait.

        Args:
            do: What it does.

        Returns:
            What came of it, in every process.

        Raises:
            MTransError: What the main process ran into.
        """
        answer: list[Any] = [None]
        if self.main:
            try:
                answer = [do()]
            except MTransError as error:
                answer = [error]
        if not self.alone:
            torch.distributed.broadcast_object_list(answer)
        if isinstance(answer[0], MTransError):
            raise answer[0]
        return cast(T, answer[0])


ALONE = Team()


def find_team(device: torch.device) -> Team:
    """Joins the processes that were started together with this one.

    Args:
        device: Where this process computes.

    Returns:
        The team; of one where nobody started several.
    """
    started = int(os.environ.get("WORLD_SIZE") or 1) > 1 and "RANK" in os.environ
    met = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not started and not met:
        return ALONE
    state = PartialState(cpu=device.type == "cpu")
    if state.num_processes > 1:
        leave_processes_at_exit()
    return Team(state.process_index, state.num_processes)


def leave_processes_at_exit() -> None:
    """Has the process group closed at exit; a group left open aborts the process."""
    atexit.register(_leave_processes)


def _leave_processes() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def leave_frozen_alone(model: torch.nn.Module) -> None:
    """Tells DDP not to look after what is frozen: it is the same in all processes as loaded.

    Args:
        model: What DDP will wrap.
    """
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    wrapped: Any = model
    wrapped._ddp_params_and_buffers_to_ignore = frozen
