"""A toy model with the surface the Trainer needs, small enough to train in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from mtrans.core.settings import TrainSettings
from mtrans.train.arguments import training_arguments
from mtrans.train.callbacks import FlowCallback, LogCallback
from mtrans.train.plan import plan_steps
from mtrans.train.run_folder import RunFolder
from mtrans.train.stream import split_batch
from mtrans.train.trainer import AdaptTrainer

VOCABULARY = 11


class Toy(torch.nn.Module):
    """Predicts the next token from the last one; dropout makes it use random numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.frozen = torch.nn.Embedding(VOCABULARY, 16).requires_grad_(False)
        self.down = torch.nn.Linear(16, 4)
        self.up = torch.nn.Linear(4, VOCABULARY)
        self.dropout = torch.nn.Dropout(0.1)
        self.gate = torch.nn.Parameter(torch.ones(()))

    def forward(
        self, input_ids: torch.Tensor, labels: torch.Tensor, num_items_in_batch: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        hidden = self.down(self.frozen(input_ids)).tanh()
        logits = self.up(self.dropout(hidden)) * self.gate
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1),
            labels[:, 1:].flatten(),
            ignore_index=-100,
            reduction="sum",
        )
        return {"loss": loss / num_items_in_batch, "logits": logits}


class StopAt(TrainerCallback):
    """Ends training after a step, with a checkpoint there, as a kill after that step would."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if state.global_step >= self.step:
            control.should_training_stop = control.should_save = control.should_log = True
        return control


def toy_samples(n: int = 22) -> list[dict[str, torch.Tensor]]:
    """Sequences with answers of different lengths: a mean of means would not be the mean."""
    generator = torch.Generator().manual_seed(1)
    samples = []
    for i in range(n):
        ids = torch.randint(0, VOCABULARY, (6,), generator=generator)
        labels = ids.clone()
        labels[: 1 + i % 5] = -100
        samples.append({"input_ids": ids, "labels": labels})
    return samples


def collate(samples: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {key: torch.stack([s[key] for s in samples]) for key in samples[0]}


def toy_trainer(
    folder: Path,
    settings: TrainSettings,
    *,
    processes: int = 1,
    model: Toy | None = None,
    validate: object = None,
    dropout: float = 0.1,
    samples: int = 22,
    stop: int | None = None,
) -> AdaptTrainer:
    model = model or Toy()
    model.dropout.p = dropout
    data = toy_samples(samples)
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    plan = plan_steps(len(data), settings, validate=validate is not None)
    micro, accumulate = split_batch(settings, processes)
    arguments = training_arguments(
        settings,
        folder=run.checkpoints,
        steps=plan.total,
        device=torch.device("cpu"),
        bf16=False,
        micro_batch=micro,
        accumulate=accumulate,
    )

    def trained() -> dict[str, torch.Tensor]:
        return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}

    def save(path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        save_file(trained(), path / "adapter_model.safetensors")

    def load(path: Path) -> None:
        model.load_state_dict(load_file(path / "adapter_model.safetensors"), strict=False)

    return AdaptTrainer(
        model=model,
        arguments=arguments,
        settings=settings,
        plan=plan,
        run=run,
        dataset=data,
        collate=collate,
        is_position=lambda name: "gate" in name,
        save_adapter=save,
        load_adapter=load,
        validate=validate,  # type: ignore[arg-type]
        diagnose=lambda: {"gate": [model.gate.item()]},
        callbacks=[
            FlowCallback(plan, settings.patience),
            *([] if stop is None else [StopAt(stop)]),
            LogCallback(run.log_file, None, plan.per_epoch),
        ],
    )
