"""Seeds, device and dtype, decided in one place. Imports torch inside the functions."""

from __future__ import annotations

import os
import platform
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mtrans.core.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    import torch


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and torch (all devices)."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def processor_name() -> str:
    """Returns what the processor calls itself, or its architecture where nothing says more."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def pick_device(name: str = "auto") -> torch.device:
    """Returns the device to run on.

    Args:
        name: ``auto`` (CUDA, then Apple's MPS, then CPU) or anything torch understands.

    Raises:
        SettingsError: The device was named but is not there.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            # under torchrun each process owns the GPU of its local rank
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(
            f"device '{name}' is not one torch knows; use auto, cpu or cuda"
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            f"device '{name}' was asked for, but torch sees no GPU; use --device cpu"
        )
    return device


class Kept(NamedTuple):
    """How frozen weights are kept.

    Attributes:
        dtype: In which they are loaded.
        mixed: Whether matrices are then held in bf16, and all is computed under autocast
            (:mod:`mtrans.models.mixed`).
    """

    dtype: torch.dtype
    mixed: bool = False

    @property
    def name(self) -> str:
        """As `RunSettings.dtype` calls it."""
        names = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
        return "mixed" if self.mixed else names[str(self.dtype).removeprefix("torch.")]


def pick_kept(name: str, device: torch.device, *, precision: str = "auto") -> Kept:
    """Returns how frozen weights are kept.

    Args:
        name: As `RunSettings.dtype`. ``auto`` is bf16 on a GPU that has it, ``mixed`` elsewhere.
            ``mixed`` is fp32 on devices that are not fast at bf16: the weights are the same.
        device: Where the model will run.
        precision: As `TrainSettings.precision`; fp32 has ``auto`` mean fp32 on a processor.

    Raises:
        SettingsError: Unknown name, or ``mixed`` with a training in fp32.
    """
    import torch

    if name == "mixed" and precision == "fp32":
        raise SettingsError(
            "dtype=mixed computes in bf16 and train.precision=fp32 forbids it; use dtype=fp32"
        )
    dtype = pick_dtype(name, device)
    wanted = name == "mixed" or (name == "auto" and dtype == torch.float32)
    return Kept(dtype, wanted and precision != "fp32" and has_fast_bf16(device))


def pick_dtype(name: str = "auto", device: torch.device | None = None) -> torch.dtype:
    """Returns the dtype in which frozen weights are loaded.

    Args:
        name: ``auto`` (bf16 on a GPU that has it, else fp32), ``mixed`` (fp32), ``fp32``, ``bf16``
            or ``fp16``.
        device: Where the model will run.

    Raises:
        SettingsError: Unknown name.
    """
    import torch

    names = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if name == "mixed":
        return torch.float32
    if name == "auto":
        on_gpu = device is not None and device.type == "cuda"
        return torch.bfloat16 if on_gpu and torch.cuda.is_bf16_supported() else torch.float32
    if name not in names:
        raise SettingsError(
            f"unknown dtype '{name}'{did_you_mean(name, [*names, 'mixed', 'auto'])}"
        )
    return names[name]


def has_fast_bf16(device: torch.device) -> bool:
    """Returns whether bf16 products are faster than fp32 ones on a device.

    On a CPU that takes the AVX-512 BF16 or AMX instructions; without them bf16 is emulated.

    Args:
        device: Where the products run.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, c, bool)() for c in checks)
