"""The steps of a run, counted once, and what its validations say.

All are functions of the settings, the step and the Trainer's log history. Step and history are part
of every checkpoint, so that a resumed run decides as the uninterrupted one would have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mtrans.core.settings import TrainSettings


@dataclass(frozen=True)
class Plan:
    """The steps of a run, counted once.

    Attributes:
        total: Optimizer steps in all.
        per_epoch: Optimizer steps that see as many samples as there are (may be a fraction).
        evaluate_every: Steps between validations; 0 validates never.
        save_every: Steps between resumable checkpoints.
        log_every: Steps between lines of the log.
    """

    total: int
    per_epoch: float
    evaluate_every: int
    save_every: int
    log_every: int

    def due(self, step: int, every: int) -> bool:
        """Says whether something done every so many steps, and at the end, is due after `step`."""
        return every > 0 and (step % every == 0 or step == self.total)


def plan_steps(samples: int, settings: TrainSettings, *, validate: bool) -> Plan:
    """Counts the steps of a run.

    Args:
        samples: Training samples.
        settings: Epochs or steps, batch size, how often to validate and to save.
        validate: Whether there is validation data.

    Returns:
        The plan.
    """
    per_epoch = samples / settings.batch_size
    total = settings.max_steps
    if total <= 0:
        total = max(1, math.ceil(settings.epochs * per_epoch - 1e-9))
    every = settings.evaluate_every or max(1, round(per_epoch))
    return Plan(
        total=total,
        per_epoch=per_epoch,
        evaluate_every=every if validate else 0,
        save_every=settings.save_every or every,
        log_every=max(1, min(10, total // 100)),
    )


@dataclass(frozen=True)
class Best:
    """The best validation so far.

    Attributes:
        step: Where it was.
        accuracy: Share of right choices; None for open answers.
        loss: Cross-entropy of the right answers' tokens.
        since: Validations after it.
    """

    step: int
    accuracy: float | None
    loss: float
    since: int


def best_validation(history: Iterable[Mapping[str, Any]]) -> Best | None:
    """Finds the best validation: highest accuracy, ties by lowest loss, then the earliest.

    Args:
        history: The Trainer's log history.

    Returns:
        The best one, or None before the first validation.
    """
    best: Best | None = None
    for entry in history:
        if "eval_loss" not in entry:
            continue
        accuracy, loss = entry.get("eval_accuracy"), entry["eval_loss"]
        better = best is None or (accuracy or 0.0, -loss) > (best.accuracy or 0.0, -best.loss)
        if better:
            best = Best(step=entry["step"], accuracy=accuracy, loss=loss, since=0)
        elif best is not None:
            best = Best(best.step, best.accuracy, best.loss, best.since + 1)
    return best


def out_of_patience(history: Iterable[Mapping[str, Any]], patience: int | None) -> bool:
    """Says whether `patience` validations have passed without a better one."""
    best = best_validation(history)
    return patience is not None and best is not None and best.since >= patience
