"""Cases timed in turns, so that whatever else a machine does falls on all of them alike."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrans.core.files import make_folder, write_text
from mtrans.core.runtime import processor_name
from mtrans.train.circumstances import git_state, now


@dataclass(frozen=True)
class Ratio:
    """How many times as long one case takes as another.

    Attributes:
        slow: Name of the numerator.
        fast: Name of the denominator.
        median: Over the rounds.
        low: Smallest of the rounds.
        high: Largest of the rounds.
    """

    slow: str
    fast: str
    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.slow} / {self.fast}: {self.median:.2f} (rounds {self.low:.2f} to"
            f" {self.high:.2f})"
        )


def take_turns(
    cases: Mapping[str, Callable[[], float]],
    rounds: int,
    said: Callable[[str], None] = lambda _: None,
) -> dict[str, list[float]]:
    """Runs every case once a round, in an order that moves on by one each round.

    Args:
        cases: Name -> does the work and returns its seconds.
        rounds: How often.
        said: Called with a line after each case.

    Returns:
        Seconds of each round by case.
    """
    names = list(cases)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            seconds[name].append(cases[name]())
            said(f"round {turn + 1}/{rounds}: {name} {seconds[name][-1]:.2f} s")
    return seconds


def ratio(seconds: Mapping[str, list[float]], slow: str, fast: str) -> Ratio:
    """Returns the ratio of two cases, round by round."""
    each = [a / b for a, b in zip(seconds[slow], seconds[fast], strict=True)]
    return Ratio(slow, fast, statistics.median(each), min(each), max(each))


def write_result(path: Path, name: str, result: Mapping[str, Any]) -> None:
    """Writes a benchmark's figures with what they were measured on."""
    import torch

    import mtrans

    machine = {
        "processor": processor_name(),
        "instructions": _instructions(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mtrans": mtrans.__version__,
    }
    make_folder(path.parent)
    record = {
        "benchmark": name,
        "date": now(),
        "git": git_state(),
        "machine": machine,
        **result,
    }
    write_text(path, json.dumps(record, indent=1) + "\n")


def _instructions() -> str:
    """Returns what torch computes with on the processor, and whether it is fast in bf16."""
    import torch

    from mtrans.core.runtime import has_fast_bf16

    fast = "fast bf16" if has_fast_bf16(torch.device("cpu")) else "no fast bf16"
    return f"{torch.backends.cpu.get_cpu_capability()}, {fast}"
