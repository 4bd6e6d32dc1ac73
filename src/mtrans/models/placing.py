"""Where the frozen LLM's weights are kept when they are not to be on the device with the rest."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from accelerate import cpu_offload
from torch import nn
from torch.utils.checkpoint import set_checkpoint_early_stop

from mtrans.core.errors import SettingsError


def hold_in_place(part: nn.Module) -> None:
    """Has a part stay where it is, in its dtype, when the model around it is moved or cast.

    Args:
        part: A submodule of what others move: the Trainer, accelerate, a caller's ``model.to``.
    """

    def stay(fn: Any, recurse: bool = True) -> nn.Module:
        return part

    part._apply = stay  # type: ignore[method-assign, assignment]


def let_go(part: nn.Module) -> None:
    """Undoes :func:`hold_in_place`; a part that is not held is left alone."""
    part.__dict__.pop("_apply", None)


def offload_llm(model: Any, device: torch.device | str) -> None:
    """Keeps the LLM's weights in the machine's memory, each brought to the device when it is used.

    Autograd keeps every weight that a backward pass will need, so that training saves memory only
    with gradient checkpointing: then one layer's weights are on the device at a time.

    Args:
        model: The assembled model, in the machine's memory.
        device: Where it computes.

    Raises:
        SettingsError: The device has no memory for weights (``meta``).
    """
    device = torch.device(device)
    if device.type == "meta":
        raise SettingsError("offload=llm needs a device that computes, not 'meta'")
    llm = model.language_model
    cpu_offload(llm, execution_device=device)
    llm.base_model.forward = _recomputed_whole(llm.base_model.forward)
    hold_in_place(llm)


def _recomputed_whole(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Has recomputation run every layer to its end.

    Usually it stops when it has what the backward pass needs, before the layer's last module has
    given its weights back: those would stay on the device, a fifth of a Llama's.
    """

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        with set_checkpoint_early_stop(False):
            return forward(*args, **kwargs)

    return run
