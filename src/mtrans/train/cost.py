"""What a run cost: parameters, seconds, memory, visual tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mtrans.core.memory import memory_of_process
from mtrans.core.runtime import processor_name


@dataclass(frozen=True)
class Cost:
    """The cost of a run, an entry of run.json.

    Attributes:
        trained_parameters: Parameters that were trained.
        total_parameters: All parameters, trained ones included.
        train_seconds: Wall clock of training, validations included, all resumptions together.
        seconds_per_step: Wall clock of an optimizer step, without validation, in the last process.
        steps: Optimizer steps done.
        peak_memory_mb: Highest memory in MiB: of the GPU where there is one, else of the process.
        memory_kind: ``cuda`` or ``rss``.
        visual_tokens: Visual tokens the LLM sees of a clip (`K`).
        prepare_seconds: Wall clock of filling the feature cache.
        training_flops: Operations of one clip in a training step, forward and backward, as torch
            counts them; the ViT only where it runs in every step. Low-bit layers are not counted.
        backward_share: Share of them that is backward.
    """

    trained_parameters: int
    total_parameters: int
    train_seconds: float
    seconds_per_step: float
    steps: int
    peak_memory_mb: float
    memory_kind: str
    visual_tokens: int
    prepare_seconds: float = 0.0
    training_flops: float | None = None
    backward_share: float | None = None


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Counts the parameters of a model, each once.

    Args:
        model: The model; may live on the meta device.

    Returns:
        How many are trained, and how many there are.
    """
    trained = total = 0
    for parameter in model.parameters():
        total += parameter.numel()
        trained += parameter.numel() if parameter.requires_grad else 0
    return trained, total


def peak_memory(device: torch.device) -> tuple[float, str]:
    """Returns the highest memory use so far in MiB, and whose: ``cuda`` or ``rss``."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20, "cuda"
    return memory_of_process()[1] / 2**20, "rss"


def device_name(device: torch.device) -> str:
    """Returns the name of a device for people: the GPU's, or the processor's with its threads."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return f"{processor_name()} {device.type}, {torch.get_num_threads()} threads"
