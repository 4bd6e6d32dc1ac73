"""torch.compile on the layers that repeat: the LLM's, and the connector's own.

One layer is built and stands for all of its kind, so building takes seconds to a minute and not
the time of the whole model. Names of parameters stay as they are: adapters and checkpoints know
nothing of it.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

import torch

from mtrans.core.errors import SettingsError

COMPILERS = ("g++", "clang++", "c++")


def compile_layers(model: Any, *, backend: str = "inductor") -> int:
    """Has the layers of a model compiled when they first run.

    Args:
        model: The assembled model, in a PEFT wrapper or not, where it will be trained.
        backend: Of torch.compile; any other than its own needs no compiler.

    Returns:
        How many layers.

    Raises:
        SettingsError: There is no C++ compiler for a CPU, or no Triton for a GPU.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    if backend == "inductor":
        check_compiler(next(base.parameters()).device)
    layers = list(_repeated(base.language_model)) + list(getattr(base.connecting, "layers", ()))
    for layer in layers:
        layer.compile(backend=backend)
    return len(layers)


def check_compiler(device: torch.device) -> None:
    """Finds out whether torch.compile can work.

    Raises:
        SettingsError: What is missing, and how to go on without.
    """
    go_on = "install it, or leave train.compile=false"
    if device.type == "cpu":
        named = os.environ.get("CXX")
        if not any(shutil.which(c) for c in ((named,) if named else COMPILERS)):
            wanted = named or " or ".join(COMPILERS)
            raise SettingsError(
                f"train.compile=true needs a C++ compiler on a CPU ({wanted}) and finds none;"
                f" {go_on}"
            )
    elif device.type == "cuda":
        from torch.utils._triton import has_triton

        if not has_triton():
            raise SettingsError(f"train.compile=true needs Triton on a GPU; {go_on}")
    else:
        raise SettingsError(f"train.compile=true is for CPUs and GPUs, not {device.type}")


def _repeated(llm: Any) -> list[Any]:
    """Returns the LLM's layers, of an encoder and of a decoder."""
    found = []
    for module in llm.modules():
        for name in ("layers", "block"):
            layers = getattr(module, name, None)
            if isinstance(layers, torch.nn.ModuleList):
                found += list(layers)
    return found
