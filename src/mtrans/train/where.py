"""Where a run is computed: device, arithmetic, and the processes that train together."""

from __future__ import annotations

import atexit
from dataclasses import dataclass

import torch
from accelerate import PartialState

from mtrans.core.errors import SettingsError
from mtrans.core.runtime import pick_device
from mtrans.core.settings import RunSettings


@dataclass(frozen=True)
class Where:
    """What a run is computed on.

    Attributes:
        device: This process's device.
        bf16: Whether the training step computes in bf16.
        rank: This process.
        processes: Processes that train together.
    """

    device: torch.device
    bf16: bool
    rank: int
    processes: int

    @property
    def main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0


def find_where(settings: RunSettings) -> Where:
    """Finds device, arithmetic and processes; joins the other processes where there are any.

    Raises:
        SettingsError: The device is not there, or can't be trained on.
    """
    device = pick_device(settings.device)
    state = PartialState(cpu=device.type == "cpu")
    if state.num_processes > 1:
        leave_processes_at_exit()
    elif device.type == "cuda" and (device.index or 0) != 0:
        raise SettingsError(
            f"device={settings.device}: training uses the first GPU it sees; set"
            f" CUDA_VISIBLE_DEVICES={device.index} and device=cuda"
        )
    precision = settings.train.precision
    bf16 = precision == "bf16" or (
        precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    )
    return Where(device, bf16, state.process_index, state.num_processes)


def leave_processes_at_exit() -> None:
    """Has the process group closed at exit; a group left open aborts the process."""
    atexit.register(_leave_processes)


def _leave_processes() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
