"""transformers' Trainer, changed only where a run must be exact: order, loss scale, checkpoints.

What differs from the plain Trainer, and why:

- *Order.* All training is one stream of seeded permutations, cut into batches of equal size
  (:class:`StreamBatches`). Batch ``s`` depends on the seed and on ``s`` alone, so a resumed run
  and a run on two processes see the same samples in the same steps, and no epoch ends in a small
  batch.
- *Loss.* The mean over all answer tokens of the optimizer step, whatever the number of processes
  and micro-batches.
- *Checkpoints.* They hold the adapter, never the base, and count only once their last file, an
  empty marker, is there: a kill while one is written costs nothing but that checkpoint.
- *Validation.* Scoring of choices in place of teacher-forced accuracy (:mod:`.validation`).
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import ProgressCallback as TqdmCallback
from transformers.trainer_callback import TrainerState

from mtrans.core.errors import SettingsError
from mtrans.core.settings import TrainSettings
from mtrans.train.callbacks import Plan, best_validation, out_of_patience
from mtrans.train.run_folder import COMPLETE, RunFolder

TRAINER_STATE_NAME = "trainer_state.json"


class SizedDataset(Protocol):
    """What the Trainer reads its samples from: a map-style dataset, or a list."""

    def __len__(self) -> int:
        """Returns the number of samples."""

    def __getitem__(self, index: int, /) -> Any:
        """Returns a sample."""


class StreamBatches(Sampler[list[int]]):
    """One process's share of a stream of seeded permutations, cut into equal batches.

    Args:
        samples: How many samples there are.
        steps: Optimizer steps.
        micro_batch: Samples of one forward pass.
        accumulate: Forward passes of one process in an optimizer step.
        seed: Seeds the permutations.
        rank: This process.
        processes: Processes.
    """

    def __init__(
        self,
        samples: int,
        *,
        steps: int,
        micro_batch: int,
        accumulate: int = 1,
        seed: int = 0,
        rank: int = 0,
        processes: int = 1,
    ):
        self.samples = samples
        self.steps = steps
        self.micro_batch = micro_batch
        self.accumulate = accumulate
        self.seed = seed
        self.rank = rank
        self.processes = processes

    def __len__(self) -> int:
        return self.steps * self.accumulate

    def __iter__(self) -> Iterator[list[int]]:
        stream = self._stream()
        for _ in range(self.steps):
            for _ in range(self.accumulate):
                batches = [
                    [next(stream) for _ in range(self.micro_batch)] for _ in range(self.processes)
                ]
                yield batches[self.rank]

    def _stream(self) -> Iterator[int]:
        passes = 0
        while True:
            order = np.random.default_rng([self.seed, passes]).permutation(self.samples)
            yield from order.tolist()
            passes += 1


def split_batch(settings: TrainSettings, processes: int) -> tuple[int, int]:
    """Splits the batch of an optimizer step over processes and forward passes.

    Args:
        settings: `batch_size` and `micro_batch_size`.
        processes: Processes that train together.

    Returns:
        Clips of one forward pass, and forward passes a step on each process.

    Raises:
        SettingsError: It can't be split evenly.
    """
    share, rest = divmod(settings.batch_size, processes)
    if rest or not share:
        raise SettingsError(
            f"train.batch_size={settings.batch_size} can't be shared by {processes} processes;"
            f" choose a multiple of {processes}"
        )
    micro = min(settings.micro_batch_size or share, share)
    if share % micro:
        raise SettingsError(
            f"train.micro_batch_size={micro} does not divide the {share} clips a process gets of"
            f" train.batch_size={settings.batch_size}"
        )
    return micro, share // micro


def parameter_groups(
    model: torch.nn.Module, settings: TrainSettings, is_position: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """Sorts what is trained into optimizer groups.

    Weight decay acts on matrices of LoRA pairs and routers only: decaying a gate or a position
    would pull towards the image model, decaying a bias towards nothing in particular.

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
) -> TrainingArguments:
    """Translates the settings; logging, validation and saving are :class:`FlowCallback`'s."""
    names = {f.name for f in dataclasses.fields(TrainingArguments)}
    # transformers renamed this argument; the old name warns in the releases that have both
    recompute = next(
        n for n in ("activation_checkpointing", "gradient_checkpointing") if n in names
    )
    schedules = {"constant": "constant_with_warmup"}
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
        dataloader_num_workers=settings.workers,
        dataloader_pin_memory=device.type == "cuda",
        **cast(Any, {recompute: settings.gradient_checkpointing}),
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several GPUs in one process would mean DataParallel; use torchrun
    return arguments


def leave_processes_at_exit() -> None:
    """Has the process group closed at exit; a group left open aborts the process."""
    atexit.register(_leave_processes)


def _leave_processes() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


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
    """

    loss_is_scaled_for_ga = True

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
        )
        return DataLoader(
            cast(Any, self.samples),
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=workers,
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
            if hasattr(callback, "close"):
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
