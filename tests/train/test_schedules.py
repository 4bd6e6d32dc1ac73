"""Shapes of the learning rate."""

from __future__ import annotations

import pytest
import torch
from transformers import get_scheduler

from mtrans.core.settings import TrainSettings
from mtrans.train.arguments import training_arguments

STEPS = 200


def rates(tmp_path, schedule):
    settings = TrainSettings(schedule=schedule, learning_rate=1.0, warmup=0.05)
    arguments = training_arguments(
        settings, folder=tmp_path, steps=STEPS, device=torch.device("cpu"), bf16=False,
        micro_batch=1, accumulate=1,
    )  # fmt: skip
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(
        arguments.lr_scheduler_type, optimizer, num_warmup_steps=arguments.warmup_steps,
        num_training_steps=STEPS, scheduler_specific_kwargs=arguments.lr_scheduler_kwargs,
    )  # fmt: skip
    found = []
    for _ in range(STEPS):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


def test_trapezoid_stays_at_the_top_and_falls_in_the_last_quarter(tmp_path):
    found = rates(tmp_path, "trapezoid")
    assert found[0] == 0.0
    assert found[10:150] == pytest.approx([1.0] * 140)
    assert found[175] == pytest.approx(0.5, abs=0.02)
    assert found[-1] < 0.01


@pytest.mark.parametrize(
    ("schedule", "middle"), [("cosine", 0.54), ("linear", 0.53), ("constant", 1)]
)
def test_others(tmp_path, schedule, middle):
    assert rates(tmp_path, schedule)[100] == pytest.approx(middle, abs=0.02)
