"""How far a run is, for people: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments

from mtrans.train.callbacks import HoldingCallback


class ProgressCallback(HoldingCallback):
    """A rich progress bar on a terminal, one line a validation elsewhere.

    Args:
        total: Optimizer steps of the run.
    """

    def __init__(self, total: int):
        super().__init__()
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
        self.held.enter_context(self.bar)  # until it is taken down the cursor is hidden

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
