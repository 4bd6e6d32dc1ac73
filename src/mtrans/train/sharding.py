"""The frozen LLM's layers spread over the processes that train together (FSDP).

::

    process 0   adapter, ViT, Q-Former | 1/2 of layer 1 | 1/2 of layer 2 | ...
    process 1   adapter, ViT, Q-Former | 1/2 of layer 1 | 1/2 of layer 2 | ...

Each layer is put together when it computes, and taken apart again (torch's `fully_shard`,
Zhao et al., arXiv:2304.11277). Nearly all weights lie there, and none of them is trained: so
gradients of the adapter go through DDP as usual, checkpoints are the same files as those of one
process, and a run may go on with another number of processes, sharded or not. `accelerate launch`
with an FSDP configuration asks for it; accelerate's own wrapping, which would shard the adapter as
well, is not used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.modeling_layers import GradientCheckpointingLayer

from mtrans.core.errors import SettingsError
from mtrans.core.settings import RunSettings
from mtrans.models.placing import let_go
from mtrans.train.together import Team

ASKED = "ACCELERATE_USE_FSDP"


def is_sharded(settings: RunSettings, team: Team) -> bool:
    """Says whether `accelerate launch` was told to shard, and there is somebody to share with.

    Raises:
        SettingsError: The LLM is kept in a way that can't be sharded.
    """
    if team.alone or os.environ.get(ASKED, "false").lower() != "true":
        return False
    for name, value in (("quantize", settings.quantize), ("offload", settings.offload)):
        if value != "none":
            raise SettingsError(
                f"{name}={value} and FSDP exclude each other; set {name}=none, or launch with the"
                " DDP configuration"
            )
    return True


@contextlib.contextmanager
def without_accelerates_own() -> Iterator[None]:
    """Hides from transformers and accelerate that FSDP was asked for."""
    asked = os.environ.pop(ASKED, None)
    try:
        yield
    finally:
        if asked is not None:
            os.environ[ASKED] = asked


def shard_llm(model: Any, device: torch.device, team: Team) -> int:
    """Spreads the LLM's layers over the processes; what is left of it goes to the device.

    Args:
        model: The assembled model; its LLM may lie in the machine's memory.
        device: Of this process.
        team: The processes.

    Returns:
        How many layers are sharded.

    Raises:
        SettingsError: The LLM has no layers that transformers marks as such.
    """
    llm = model.language_model
    let_go(llm)
    layers = [m for m in llm.modules() if isinstance(m, GradientCheckpointingLayer)]
    if not layers:
        raise SettingsError(
            f"FSDP: {type(llm).__name__} has no layers that can be sharded; launch with the DDP"
            " configuration"
        )
    mesh = init_device_mesh(device.type, (team.processes,))
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    inside = {id(module) for layer in layers for module in layer.modules()}
    for module in llm.modules():
        if id(module) not in inside:
            module._apply(lambda tensor: tensor.to(device), recurse=False)
    return len(layers)


class ShardCallback(TrainerCallback):
    """Shards as training begins, when DDP has taken up what it looks after.

    Args:
        model: The assembled model.
        device: Of this process.
        team: The processes.
    """

    def __init__(self, model: Any, device: torch.device, team: Team):
        self.model = model
        self.device = device
        self.team = team
        self.layers = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Shards the LLM."""
        self.layers = shard_llm(self.model, self.device, self.team)
