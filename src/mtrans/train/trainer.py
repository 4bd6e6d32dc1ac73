"""transformers' Trainer, changed only where a run must be exact: order, loss scale, checkpoints.

What differs from the plain Trainer, and why:

- *Order.* One stream of batches, the same for a resumed run and for several processes
  (:mod:`.stream`).
- *Loss.* The mean over all answer tokens of the optimizer step, whatever the number of processes
  and micro-batches.
- *Checkpoints.* They hold the adapter, never the base, and count only once their last file, an
  empty marker, is there: a kill while one is written costs nothing but that checkpoint.
- *Validation.* Scoring of choices in place of teacher-forced accuracy (:mod:`.validation`).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import ProgressCallback as TqdmCallback
from transformers.trainer_callback import TrainerState

from mtrans.core.runtime import seed_everything
from mtrans.core.settings import TrainSettings
from mtrans.train.arguments import parameter_groups
from mtrans.train.callbacks import HoldingCallback
from mtrans.train.plan import Plan, best_validation, out_of_patience
from mtrans.train.run_folder import COMPLETE, RunFolder
from mtrans.train.stream import RANDOM, Arrangement, StreamBatches
from mtrans.train.together import leave_frozen_alone, leave_processes_at_exit
from mtrans.video.threads import set_decoders

TRAINER_STATE_NAME = "trainer_state.json"


class SizedDataset(Protocol):
    """What the Trainer reads its samples from: a map-style dataset, or a list."""

    def __len__(self) -> int:
        """Returns the number of samples."""

    def __getitem__(self, index: int, /) -> Any:
        """Returns a sample."""


class AdaptTrainer(Trainer):
    """The Trainer of an adaptation.

    Args:
        model: The assembled model.
        arguments: From :func:`training_arguments`.
        settings: The optimisation.
        plan: The steps.
        run: The run folder.
        dataset: Training samples, tokenised.
        collate: Batch maker.
        is_position: Says of a parameter's name whether it gets `position_learning_rate`.
        save_adapter: Writes the adapter into a folder.
        load_adapter: Reads the adapter from a folder into the model.
        validate: Returns ``{"loss": ..., "accuracy": ...}`` of the validation data; None has none.
        diagnose: Returns gates, routing entropy and the like, for the log.
        callbacks: Callbacks.
        arrangement: What the order of samples heeds.
    """

    loss_is_scaled_for_ga = True
    optimizer: Any  # transformers' own attributes, of a type that is not read in a check of types
    control: Any

    def __init__(
        self,
        *,
        model: torch.nn.Module,
        arguments: TrainingArguments,
        settings: TrainSettings,
        plan: Plan,
        run: RunFolder,
        dataset: SizedDataset,
        collate: Callable[[list[Any]], dict[str, torch.Tensor]],
        is_position: Callable[[str], bool],
        save_adapter: Callable[[Path], None],
        load_adapter: Callable[[Path], None],
        validate: Callable[[], Mapping[str, float]] | None,
        diagnose: Callable[[], Mapping[str, Any]],
        callbacks: Sequence[TrainerCallback],
        arrangement: Arrangement = RANDOM,
    ):
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=cast(Any, dataset),
            data_collator=collate,
            callbacks=list(callbacks),
        )
        if self.args.world_size > 1:
            leave_processes_at_exit()
            leave_frozen_alone(model)
        for default in (PrinterCallback, TqdmCallback):
            self.remove_callback(default)
        self.model_accepts_loss_kwargs = False
        self.samples = dataset
        self.net = model
        self.settings = settings
        self.plan = plan
        self.run = run
        self.is_position = is_position
        self.save_adapter = save_adapter
        self.load_adapter = load_adapter
        self.validate = validate
        self.diagnose = diagnose
        self.arrangement = arrangement
        self.aside = 0.0
        self._initial_global_step = 0

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Returns this process's batches of the whole run, as one epoch."""
        workers = self.args.dataloader_num_workers
        batches = StreamBatches(
            len(self.samples),
            steps=self.plan.total,
            micro_batch=self.args.per_device_train_batch_size,
            accumulate=self.args.gradient_accumulation_steps,
            seed=self.settings.seed,
            rank=self.args.process_index,
            processes=self.args.world_size,
            arrangement=self.arrangement,
        )
        return DataLoader(
            cast(Any, self.samples),
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=workers,
            worker_init_fn=partial(_share_cores, workers),
            pin_memory=self.args.dataloader_pin_memory,
        )

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Returns AdamW over what is trained."""
        if self.optimizer is None:
            groups = parameter_groups(self.net, self.settings, self.is_position)
            self.optimizer = torch.optim.AdamW(
                groups,
                lr=self.settings.learning_rate,
                betas=self.settings.betas,
                fused=self.args.device.type in ("cpu", "cuda"),
            )
        return self.optimizer

    def _get_num_items_in_batch(
        self, batch_samples: list[Any], device: torch.device
    ) -> torch.Tensor:
        """Counts the answer tokens of the whole optimizer step, over all processes."""
        count = sum((batch["labels"] != -100).sum() for batch in batch_samples)
        count = torch.as_tensor(count).to(device)
        return self.accelerator.gather(count).sum() if self.args.world_size > 1 else count

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Returns this pass's share of the mean over the step's answer tokens.

        DDP averages gradients over processes, hence the factor `world_size`.
        """
        outputs = model(**inputs, num_items_in_batch=num_items_in_batch)
        loss = outputs["loss"] * self.args.world_size
        return (loss, outputs) if return_outputs else loss

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor | None:
        """Clips what is trained; the Trainer would walk over all frozen parameters as well."""
        groups = cast(torch.optim.Optimizer, self.optimizer).param_groups
        trained = [p for group in groups for p in group["params"]]
        return cast(Any, self.accelerator).clip_grad_norm_(trained, self.args.max_grad_norm)

    def floating_point_ops(self, inputs: dict[str, torch.Tensor]) -> int:
        """Returns nothing: the Trainer's estimate walks over all parameters in every step."""
        return 0

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Validates, logs, and keeps the adapter where it is the best so far."""
        started = time.monotonic()
        metrics = {f"eval_{k}": v for k, v in (self.validate() if self.validate else {}).items()}
        self.aside += time.monotonic() - started
        self.log(metrics)
        best = best_validation(self.state.log_history)
        if self.settings.keep_best and best is not None and best.step == self.state.global_step:
            self._save_best()
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Adds the model's own numbers to each logged loss."""
        if "loss" in logs:
            logs.update(self.diagnose())
        super().log(logs, start_time)

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        """Writes the adapter; never the base, never pickled arguments."""
        if self.args.should_save and output_dir is not None:
            self.save_adapter(Path(output_dir))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        """Reads a checkpoint's adapter into the model."""
        self.load_adapter(Path(resume_from_checkpoint))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Takes up random numbers where they were; of other processes they can't be.

        A run that goes on with another number of processes draws from the seed, the step and the
        process: each such run the same, though not as the uninterrupted one.
        """
        if checkpoint is None:
            return
        ranks = range(self.args.world_size)
        one = self.args.world_size == 1
        own = {"rng_state.pth"} if one else {f"rng_state_{rank}.pth" for rank in ranks}
        if {path.name for path in Path(checkpoint).glob("rng_state*.pth")} == own:
            super()._load_rng_state(checkpoint)
            return
        drawn = [self.settings.seed, self.state.global_step, self.args.process_index]
        seed_everything(int(np.random.SeedSequence(drawn).generate_state(1)[0]))

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Writes a checkpoint, marks it complete, then removes what it makes superfluous."""
        started = time.monotonic()
        folder = self.run.checkpoints / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            shutil.rmtree(folder, ignore_errors=True)
        self._barrier()
        super()._save_checkpoint(model, trial)
        self._barrier()  # each process writes its own random state
        if self.args.should_save:
            (folder / COMPLETE).touch()
            self._remove_superfluous(folder)
        self._barrier()
        self.aside += time.monotonic() - started

    def stopped_at(self, checkpoint: Path) -> bool:
        """Says whether training was over when a checkpoint was written."""
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        return state.global_step >= self.plan.total or out_of_patience(
            state.log_history, self.settings.patience
        )

    def take_up(self, checkpoint: Path) -> None:
        """Takes over weights and history of a checkpoint, without training."""
        self.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        self._initial_global_step = self.state.global_step
        self.load_adapter(checkpoint)

    def close(self) -> None:
        """Closes what callbacks hold open, also after an error."""
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, HoldingCallback):
                callback.close()

    def seconds_per_step(self, seconds: float) -> float:
        """Returns the wall clock of a step of this process, without validation and checkpoints.

        Args:
            seconds: Wall clock of `train`.
        """
        return (seconds - self.aside) / max(1, self.state.global_step - self._initial_global_step)

    def _save_best(self) -> None:
        if self.args.should_save:
            folder = self.run.checkpoints / f"best-{self.state.global_step}"
            partial = self.run.checkpoints / f"partial-{os.getpid()}"
            for old in (partial, folder):
                shutil.rmtree(old, ignore_errors=True)
            self.save_adapter(partial)
            partial.replace(folder)
        self._barrier()

    def _remove_superfluous(self, newest: Path) -> None:
        best = best_validation(self.state.log_history)
        kept = {newest.name, f"best-{best.step}" if best else ""}
        for folder in self.run.checkpoints.iterdir():
            if folder.name not in kept and folder.is_dir():
                shutil.rmtree(folder)

    def _barrier(self) -> None:
        if self.args.world_size > 1:
            torch.distributed.barrier()


def _share_cores(workers: int, _: int) -> None:
    """Tells a loader's worker how many others decode beside it."""
    set_decoders(workers)
