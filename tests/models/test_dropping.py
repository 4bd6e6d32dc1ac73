"""Dropout from 16 random bits: torch's distribution, seeds and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.tiny_random import tiny_config
from mtrans.models.dropping import Dropout, drop
from mtrans.models.video_lmm import VideoInstructBlip


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_shares_and_scale(p):
    torch.manual_seed(0)
    n = 400_003  # no multiple of the four numbers drawn at once
    x = drop(torch.full((n,), 2.0), p)
    assert x.shape == (n,)
    assert sorted(x.unique().tolist()) == pytest.approx([0.0, 2 / (1 - p)])
    share = float((x == 0).double().mean())
    assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5 + 2**-17


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_numbers_of_16_bit_are_scaled_as_their_type_can(dtype):
    torch.manual_seed(0)
    x = drop(torch.full((10_001,), 3.0, dtype=dtype), 0.1)
    scale = torch.tensor(1 / 0.9, dtype=dtype)
    assert x.dtype == dtype
    assert x.unique().tolist() == [0.0, float(torch.tensor(3.0, dtype=dtype) * scale)]


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    gone = (drop(torch.ones(400_000), 0.3) == 0).double()
    for distance in (1, 2, 3, 4):
        both = float((gone[distance:] * gone[:-distance]).mean())
        assert both == pytest.approx(0.09, abs=0.003)


def test_limits():
    x = torch.randn(5, 3)
    assert torch.equal(drop(x, 0.0), x)
    assert torch.equal(drop(x, 1.0), torch.zeros_like(x))


def test_a_seed_repeats_and_the_state_moves_on():
    x = torch.randn(4, 7, dtype=torch.bfloat16)
    torch.manual_seed(3)
    first, second = drop(x, 0.5), drop(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(drop(x, 0.5), first)
    assert not torch.equal(first, second)
    assert first.dtype == x.dtype


def test_gradients_go_where_values_went():
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    made = drop(x, 0.25)
    made.sum().backward()
    torch.testing.assert_close(x.grad, made.detach())


def test_the_qformer_drops_so_in_training_only():
    config = tiny_config()
    config.qformer_config.hidden_dropout_prob = 0.25
    model = VideoInstructBlip(config)
    layers = [m for m in model.qformer.modules() if isinstance(m, nn.Dropout)]
    assert layers
    assert all(type(layer) is Dropout and layer.p == 0.25 for layer in layers)
    x = torch.ones(500)
    assert torch.equal(layers[0].eval()(x), x)
    assert (layers[0].train()(x) == 0).any()
