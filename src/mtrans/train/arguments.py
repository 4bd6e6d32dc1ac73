"""What transformers' Trainer is told: the optimizer's groups and its own arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from transformers import TrainingArguments

from mtrans.core.settings import TrainSettings

TRAPEZOID_FALL = 0.25
"""Share of the steps in which schedule `trapezoid` falls."""


def parameter_groups(
    model: torch.nn.Module, settings: TrainSettings, is_position: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """Sorts what is trained into optimizer groups.

    Weight decay acts on matrices: LoRA pairs, routers, and what a connector trains whole, learned
    queries included. Not on gates, positions and biases: decaying a gate or a position would pull
    towards the image model, decaying a bias towards nothing in particular.

    Args:
        model: The model.
        settings: Learning rates and decay.
        is_position: Says of a parameter's name whether it is a position, gate or router.

    Returns:
        Groups for torch.optim.AdamW; empty ones are left out.
    """
    own_rate = settings.position_learning_rate
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        special = is_position(name)
        rate = own_rate if special and own_rate is not None else settings.learning_rate
        decayed = parameter.ndim >= 2 and not (special and "rout" not in name)
        decay = settings.weight_decay if decayed else 0.0
        group = groups.setdefault((rate, decay), {"params": [], "lr": rate, "weight_decay": decay})
        group["params"].append(parameter)
    # the first group's rate is the one the Trainer logs
    return sorted(
        groups.values(), key=lambda g: (g["lr"] != settings.learning_rate, -g["weight_decay"])
    )


def training_arguments(
    settings: TrainSettings,
    *,
    folder: Path,
    steps: int,
    device: torch.device,
    bf16: bool,
    micro_batch: int,
    accumulate: int,
    all_used: bool = False,
) -> TrainingArguments:
    """Translates the settings; logging, validation and saving are :class:`FlowCallback`'s.

    Args:
        settings: The optimisation.
        folder: Of the checkpoints.
        steps: Optimizer steps.
        device: Of this process.
        bf16: Whether the step computes in bf16.
        micro_batch: Samples of a forward pass.
        accumulate: Forward passes of a step in this process.
        all_used: Every trained parameter takes part in every step, so that DDP need not look for
            those that don't.

    Returns:
        The Trainer's arguments.
    """
    names = {f.name for f in dataclasses.fields(TrainingArguments)}
    # transformers renamed this argument; the old name warns in the releases that have both
    recompute = next(
        n for n in ("activation_checkpointing", "gradient_checkpointing") if n in names
    )
    schedules = {"constant": "constant_with_warmup", "trapezoid": "warmup_stable_decay"}
    falling = {"num_decay_steps": round(TRAPEZOID_FALL * steps)}
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        num_train_epochs=1,  # the stream is one long epoch
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=accumulate,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        lr_scheduler_type=schedules.get(settings.schedule, settings.schedule),
        lr_scheduler_kwargs=falling if settings.schedule == "trapezoid" else None,
        warmup_steps=round(settings.warmup * steps),
        max_grad_norm=settings.clip_norm,
        seed=settings.seed,
        bf16=bf16,
        use_cpu=device.type == "cpu",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        logging_nan_inf_filter=False,
        ddp_find_unused_parameters=not all_used,
        dataloader_num_workers=settings.workers,
        dataloader_pin_memory=device.type == "cuda",
        **cast(Any, {recompute: settings.gradient_checkpointing}),
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several GPUs in one process would mean DataParallel; use torchrun
    return arguments
