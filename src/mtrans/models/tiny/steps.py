"""One optimisation loop for all stages of the recipe: AdamW, warm-up, cosine, bf16 autocast."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Memory(Protocol):
    """What a stage's steps carry from one to the next, beside the parameters."""

    def state(self) -> dict[str, Any]:
        """Returns it as plain numbers, texts and dictionaries."""

    def restore(self, state: dict[str, Any]) -> None:
        """Takes a state back."""


def optimise(
    parameters: Iterable[nn.Parameter],
    loss_of_step: Callable[[int], tuple[Tensor, dict[str, float]]],
    *,
    steps: int,
    learning_rate: float,
    log: Path,
    stage: str,
    weight_decay: float = 0.02,
    bf16: bool = True,
    every: int = 100,
    check: Callable[[], dict[str, float]] | None = None,
    check_every: int = 1000,
    checkpoint: Path | None = None,
    memory: Memory | None = None,
) -> None:
    """Minimises a loss.

    Args:
        parameters: What is trained.
        loss_of_step: Step number -> loss and figures to log.
        steps: Optimizer steps.
        learning_rate: Peak.
        log: JSONL file that gets a line every `every` steps.
        stage: Name in the log.
        weight_decay: Of matrices; vectors get none.
        bf16: Compute in bf16 autocast.
        every: Steps between log lines.
        check: Measured every `check_every` steps and at the end.
        check_every: Steps between checks, and between checkpoints.
        checkpoint: File from which an interrupted stage goes on; gone when the stage is done.
            Exact where `loss_of_step` depends on its step, the parameters and `memory` alone.
        memory: What `loss_of_step` carries from step to step; saved with the checkpoint.
    """
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))
    start = time.time()
    sums: dict[str, float] = {}
    first = 1
    if checkpoint is not None and checkpoint.is_file():
        first = 1 + _load(checkpoint, trained, optimizer, memory)
    for step in range(first, steps + 1):
        rate = learning_rate * min(1.0, step / 200) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = max(rate, learning_rate * 0.01)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss, figures = loss_of_step(step)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        for name, value in {"loss": float(loss.detach()), **figures}.items():
            sums[name] = sums.get(name, 0.0) + value / every
        if step % every == 0:
            line = {"stage": stage, "step": step, "seconds": round(time.time() - start, 1)}
            line |= {name: round(value, 4) for name, value in sums.items()}
            if check and (step % check_every == 0 or step == steps):
                line |= {name: round(value, 4) for name, value in check().items()}
            sums = {}
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            if checkpoint is not None and step % check_every == 0:
                _save(checkpoint, step, trained, optimizer, memory)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


def _save(
    path: Path,
    step: int,
    trained: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    memory: Memory | None,
) -> None:
    state = {
        "step": step,
        "parameters": [p.detach() for p in trained],
        "optimizer": optimizer.state_dict(),
        "memory": memory.state() if memory else None,
    }
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def _load(
    path: Path,
    trained: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    memory: Memory | None,
) -> int:
    """Puts a checkpoint back in place and returns its step."""
    state = torch.load(path, weights_only=True)
    with torch.no_grad():
        for parameter, saved in zip(trained, state["parameters"], strict=True):
            parameter.copy_(saved)
    optimizer.load_state_dict(state["optimizer"])
    if memory:
        memory.restore(state["memory"])
    return int(state["step"])
