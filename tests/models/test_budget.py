"""Counting without weights, and the size at which a design trains a given number of parameters."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest
import torch

from models.tiny_random import tiny_config
from mtrans.core.settings import LoraSettings, ModelSettings, load_settings
from mtrans.core.settings.fields import ConnectorName
from mtrans.models.budget import count_trained, fit_budget, nearest
from mtrans.models.loading import read_config
from mtrans.models.lora import attach_adapter, trained_formula
from mtrans.models.video_lmm import VideoInstructBlip


@pytest.mark.parametrize(
    ("wanted", "found"), [(0, 1), (10, 1), (14, 1), (16, 2), (1009, 101), (1016, 102)]
)
def test_nearest(wanted, found):
    assert nearest(lambda n: 10 * n, wanted) == found


def test_the_count_is_that_of_the_model_and_of_the_formula():
    for name in ("mqt", "vchat", "stc"):
        settings, lora = ModelSettings(connector=name), LoraSettings(rank=3)
        counted = count_trained(tiny_config(), settings, lora)
        model = attach_adapter(VideoInstructBlip(tiny_config(), settings=settings), lora)
        assert counted == sum(p.numel() for p in model.parameters() if p.requires_grad)
        if name == "mqt":
            assert counted == trained_formula(tiny_config(), settings, lora)


@pytest.mark.parametrize("name", ["mqt", "video_qformer", "st_adapter"])
def test_a_budget_is_met_as_nearly_as_it_can_be(name):
    asked = load_settings(baseline=name, values={"model.budget": 90_000})
    settings = fit_budget(asked)
    config = read_config("tiny")
    group, setting = {"mqt": ("lora", "rank")}.get(name, ("model", "width"))
    value = getattr(getattr(settings, group), setting)

    def off(of: int) -> int:
        part = dataclasses.replace(getattr(settings, group), **{setting: of})
        changed = dataclasses.replace(settings, **{group: part})
        return abs(count_trained(config, changed.model, changed.lora) - 90_000)

    step = 8 if name == "video_qformer" else 1
    assert off(value) <= min(off(value - step), off(value + step))
    assert off(value) < 0.2 * 90_000
    assert fit_budget(settings) == settings
    assert fit_budget(load_settings()) == load_settings()


@pytest.mark.parametrize("name", get_args(ConnectorName))
def test_any_design_can_be_sized(name):
    settings = fit_budget(load_settings(baseline=name, values={"model.budget": 90_000}))
    found = count_trained(read_config("tiny"), settings.model, settings.lora)
    assert found == pytest.approx(90_000, rel=0.15)


def test_nothing_is_drawn_to_count():
    before = torch.get_rng_state()
    count_trained(tiny_config(), ModelSettings(), LoraSettings())
    assert torch.equal(torch.get_rng_state(), before)
