"""What happens between optimizer steps: when to log, validate, save and stop, and where logs go.

All decisions are functions of the step and of the Trainer's log history. Both are part of every
checkpoint, so that a resumed run decides as the uninterrupted one would have.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mtrans.core.errors import MTransError
from mtrans.core.files import write_text
from mtrans.core.settings import TrainSettings
from mtrans.train.diagnostics import annealed
from mtrans.train.run_folder import append_jsonl, read_jsonl


class TrainingDiverged(MTransError):
    """The loss is no longer a number."""


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


class FlowCallback(TrainerCallback):
    """Switches logging, validation, saving and early stopping by the plan.

    Args:
        plan: The steps of the run.
        patience: Validations without improvement before training stops; None never stops.
    """

    def __init__(self, plan: Plan, patience: int | None = None):
        self.plan = plan
        self.patience = patience

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Decides what is due after this step."""
        plan, step = self.plan, state.global_step
        control.should_evaluate = plan.due(step, plan.evaluate_every)
        # the log must be flushed before a checkpoint: the running loss is not part of one
        control.should_save = plan.due(step, plan.save_every)
        control.should_log = (
            plan.due(step, plan.log_every) or control.should_save or control.should_evaluate
        )
        control.should_training_stop = step >= plan.total
        return control

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Stops when patience has run out."""
        if out_of_patience(state.log_history, self.patience):
            control.should_training_stop = True
            control.should_save = True
        return control


class LogCallback(TrainerCallback):
    """Writes log.jsonl and TensorBoard events; stops a run whose loss is not a number.

    Args:
        file: log.jsonl.
        tensorboard: Folder of the events; None writes none.
        per_epoch: Optimizer steps of an epoch.
    """

    def __init__(self, file: Path, tensorboard: Path | None, per_epoch: float):
        self.file = file
        self.folder = tensorboard
        self.per_epoch = per_epoch
        self.writer: Any = None
        self.started = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drops log lines of steps that a resumed run will do again."""
        if not state.is_world_process_zero:
            return
        self.started = time.monotonic()
        if self.file.exists():
            kept = [r for r in read_jsonl(self.file) if r["step"] <= state.global_step]
            write_text(self.file, "")
            append_jsonl(self.file, kept)
            self.started -= kept[-1]["seconds"] if kept else 0.0
        if self.folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder), purge_step=state.global_step + 1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes one line.

        Raises:
            TrainingDiverged: The loss is not a number.
        """
        record = log_record(logs or {}, state.global_step, self.per_epoch)
        loss = record.get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss is {loss} at step {state.global_step}; lower train.learning_rate"
                f" (now {record.get('learning_rate', 0.0):.3g} there) or train.clip_norm"
            )
        if not state.is_world_process_zero or len(record) <= 2:
            return
        record["seconds"] = round(time.monotonic() - self.started, 3)
        append_jsonl(self.file, [record])
        if self.writer is not None:
            for key, value in record.items():
                if isinstance(value, list):
                    for layer, item in enumerate(value):
                        self.writer.add_scalar(f"{key}/{layer}", item, state.global_step)
                elif key not in ("step", "seconds"):
                    self.writer.add_scalar(key, value, state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Closes the event file."""
        self.close()

    def close(self) -> None:
        """Closes the event file, also after an error."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def log_record(logs: Mapping[str, Any], step: int, per_epoch: float) -> dict[str, Any]:
    """Turns the Trainer's logs into a line of log.jsonl: ``eval_x`` becomes ``val_x``."""
    dropped = ("epoch", "total_flos", "train_loss")
    record: dict[str, Any] = {"step": step, "epoch": round(step / per_epoch, 4)}
    for key, value in logs.items():
        if key in dropped or key.startswith("train_"):
            continue
        record["val_" + key[5:] if key.startswith("eval_") else key] = value
    return record


class ProgressCallback(TrainerCallback):
    """A rich progress bar on a terminal, one line a validation elsewhere.

    Args:
        total: Optimizer steps of the run.
    """

    def __init__(self, total: int):
        self.total = total
        self.bar: Any = None
        self.task: Any = None
        self.words: dict[str, str] = {}
        self.shown = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Shows the bar at the first step of this process."""
        if not state.is_world_process_zero or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.bar = Progress(
            TextColumn("adapting"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task("", total=self.total, completed=state.global_step, words="")
        self.bar.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Moves the bar, at most ten times a second."""
        if self.bar is not None and (
            time.monotonic() - self.shown > 0.1 or state.global_step == self.total
        ):
            self.shown = time.monotonic()
            self.bar.update(
                self.task, completed=state.global_step, words="  ".join(self.words.values())
            )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keeps the newest numbers; without a terminal prints a line a validation."""
        for key, name in (
            ("loss", "loss"),
            ("eval_loss", "val loss"),
            ("eval_accuracy", "val accuracy"),
        ):
            if logs and logs.get(key) is not None:
                self.words[key] = f"{name} {logs[key]:.3f}"
        if state.is_world_process_zero and self.bar is None and logs and "eval_loss" in logs:
            print(
                f"step {state.global_step}/{self.total}  " + "  ".join(self.words.values()),
                file=sys.stderr,
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Takes the bar down."""
        self.close()

    def close(self) -> None:
        """Takes the bar down, also after an error or Ctrl-C: the cursor comes back."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class AnnealCallback(TrainerCallback):
    """Lowers the Gumbel temperature of hard routing over training, by the step alone.

    Args:
        set_temperature: Sets it in all routers.
        start: Temperature of the first step.
        end: Temperature of the last step.
        total: Optimizer steps of the run.
    """

    def __init__(
        self, set_temperature: Callable[[float], None], *, start: float, end: float, total: int
    ):
        self.set_temperature = set_temperature
        self.start = start
        self.end = end
        self.total = total

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Sets the temperature of the step to come."""
        done = state.global_step / max(1, self.total - 1)
        self.set_temperature(annealed(self.start, self.end, done))
