"""Where a run is computed: device, arithmetic, and the processes that train together."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from accelerate import PartialState

from mtrans.core.errors import SettingsError
from mtrans.core.runtime import has_fast_bf16, pick_device
from mtrans.core.settings import RunSettings
from mtrans.train.sharding import is_sharded
from mtrans.train.together import Team, leave_processes_at_exit

LAUNCH = "for several: torchrun --nproc_per_node N -m mtrans adapt ..."


@dataclass(frozen=True)
class Where:
    """What a run is computed on.

    Attributes:
        device: This process's device.
        bf16: Whether the training step computes in bf16.
        team: This process among those that train together.
        sharded: Whether the frozen LLM's layers are spread over the processes
            (:mod:`mtrans.train.sharding`).
    """

    device: torch.device
    bf16: bool
    team: Team
    sharded: bool = False


def find_where(settings: RunSettings) -> Where:
    """Finds device, arithmetic and processes; joins the other processes where there are any.

    Raises:
        SettingsError: The device is not there, or can't be trained on; or FSDP was asked for and
            can't be.
    """
    device = pick_device(settings.device)
    state = PartialState(cpu=device.type == "cpu")
    lonely = not_started(os.environ) if state.num_processes == 1 else None
    if lonely is not None:
        print(f"warning: {lonely}; {LAUNCH}", file=sys.stderr)
    if state.num_processes > 1:
        leave_processes_at_exit()
    elif device.type == "cuda" and (device.index or 0) != 0:
        raise SettingsError(
            f"device={settings.device}: training uses the first GPU it sees; set"
            f" CUDA_VISIBLE_DEVICES={device.index} and device=cuda"
        )
    precision = settings.train.precision
    bf16 = precision == "bf16" or (precision == "auto" and has_fast_bf16(device))
    team = Team(state.process_index, state.num_processes)
    return Where(device, bf16, team, sharded=is_sharded(settings, team))


def not_started(environment: Mapping[str, str]) -> str | None:
    """Finds out that several processes were asked for where only this one trains.

    Args:
        environment: The environment's variables.

    Returns:
        Who asked for them, in words; None where nobody did.
    """
    # `accelerate launch --cpu` takes --num_processes and starts one process: it leaves an address
    # to meet at, and nobody has a rank
    if {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= environment.keys() and "RANK" not in environment:
        return "`accelerate launch` was asked for several processes and started one"
    for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"):
        if environment.get(name, "1") not in ("", "0", "1"):
            return f"{name}={environment[name]}, but this process trains alone"
    return None
