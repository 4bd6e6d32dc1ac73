"""What happens between optimizer steps: when to log, validate, save and stop, and where logs go.

All decisions are functions of the step and of the Trainer's log history (:mod:`.plan`).
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mtrans.core.errors import MTransError
from mtrans.core.files import append_jsonl, read_jsonl, write_text
from mtrans.train.diagnostics import annealed
from mtrans.train.plan import Plan, out_of_patience


class TrainingDiverged(MTransError):
    """The loss is no longer a number."""


class HoldingCallback(TrainerCallback):
    """Holds things open while training goes on, and closes them at its end, however that comes.

    Subclasses put into `self.held` what they open; `AdaptTrainer.close` closes it after an error.
    """

    def __init__(self) -> None:
        self.held = contextlib.ExitStack()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Closes what is held."""
        self.close()

    def close(self) -> None:
        """Closes what is held; a second time does nothing."""
        self.held.close()


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


class LogCallback(HoldingCallback):
    """Writes log.jsonl and TensorBoard events; stops a run whose loss is not a number.

    Args:
        file: log.jsonl.
        tensorboard: Folder of the events; None writes none.
        per_epoch: Optimizer steps of an epoch.
    """

    def __init__(self, file: Path, tensorboard: Path | None, per_epoch: float):
        super().__init__()
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
            # whole or not at all: a kill in between must not lose what was learned so far
            write_text(self.file, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in kept))
            self.started -= kept[-1]["seconds"] if kept else 0.0
        if self.folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(self.folder), purge_step=state.global_step + 1)
            self.writer = self.held.enter_context(writer)

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


def log_record(logs: Mapping[str, Any], step: int, per_epoch: float) -> dict[str, Any]:
    """Turns the Trainer's logs into a line of log.jsonl: ``eval_x`` becomes ``val_x``."""
    dropped = ("epoch", "total_flos", "train_loss")
    record: dict[str, Any] = {"step": step, "epoch": round(step / per_epoch, 4)}
    for key, value in logs.items():
        if key in dropped or key.startswith("train_"):
            continue
        record["val_" + key[5:] if key.startswith("eval_") else key] = value
    return record


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
