"""Patches mixed with their neighbours: nothing at the start, nothing of what is not there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.connectors.blocks import neighbours
from mtrans.models.inputs import ModelInputs
from mtrans.models.lora import attach_adapter, trainable_parameters, trained_formula
from mtrans.models.mixing import PatchMixing

WIDTH, INNER, SIDE = 6, 3, 4


@pytest.fixture
def mixing():
    torch.manual_seed(0)
    made = PatchMixing(WIDTH, INNER).double()
    nn.init.normal_(made.up.weight)
    return made


def patches(frames, clips=2):
    return torch.randn(clips, frames, 1 + SIDE**2, WIDTH, dtype=torch.float64)


def there(frames, clips=2):
    return torch.ones(clips, frames, dtype=torch.bool)


@pytest.mark.parametrize("step", [1, 2, 7])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_neighbours_are_those_of_the_convolution(frames, step):
    far = {"padding": (step, 1, 1), "dilation": (step, 1, 1)}
    layer = nn.Conv3d(INNER, INNER, 3, groups=INNER, **far).double()
    x = torch.randn(2, frames, INNER, SIDE, SIDE, dtype=torch.float64)
    expected = layer(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(neighbours(x, layer), expected)


def test_a_step_is_how_far_away_neighbours_are():
    model = PatchMixing(WIDTH, INNER, step=2).double()
    x = patches(5)
    plain = model(x, there(5)).low
    x[:, 2] += 1.0
    moved = (model(x, there(5)).low - plain).abs().amax(dim=(0, 2, 3)) > 1e-12
    assert moved.tolist() == [True, False, True, False, True]


def test_it_starts_next_to_the_image_model():
    model = tiny_video_model(ModelSettings(patch_mixing=32))
    batch = ModelInputs.split(tiny_batch(model))[0]
    mixed, _ = model.encode_video(batch)
    model.connecting.mixing = None
    plain, _ = model.encode_video(batch)
    assert not torch.equal(mixed, plain)
    size = float(plain.detach().abs().max())
    torch.testing.assert_close(mixed, plain, rtol=0.0, atol=2e-3 * size)


def test_a_patch_is_told_of_its_neighbours_and_of_nothing_further(mixing):
    x = patches(4)
    changed = x.clone()
    changed[:, 1, 1 + SIDE * 1 + 1] += 1.0  # the patch in row 1, column 1 of frame 1
    low, other = (mixing(y, there(4)).low for y in (x, changed))
    grid = (low != other).any(dim=-1)[:, :, 1:].unflatten(2, (SIDE, SIDE))
    expected = torch.zeros_like(grid)
    expected[:, 0:3, 0:3, 0:3] = True
    assert torch.equal(grid, expected)
    assert (low[:, :, 0] == 0).all(), "CLS has no place in the picture"


def test_what_is_not_there_is_no_neighbour(mixing):
    x = patches(3)
    longer = torch.cat([x, patches(2)], dim=1)
    mask = there(5)
    mask[:, 3:] = False
    torch.testing.assert_close(mixing(longer, mask).low[:, :3], mixing(x, there(3)).low)
    hidden = x.clone()
    hidden[:, 1, 7] = 100.0
    seen = torch.ones(2, 3, 1 + SIDE**2, dtype=torch.bool)
    seen[:, 1, 7] = False
    torch.testing.assert_close(mixing(hidden, seen).low, mixing(x, seen).low)


def test_only_its_own_parts_are_trained_and_counted():
    settings, lora = ModelSettings(patch_mixing=INNER), LoraSettings(rank=2)
    model = tiny_video_model(settings)
    expected = trained_formula(model.config, settings, lora)
    counted = trainable_parameters(attach_adapter(model, lora))
    assert counted["total"] == expected
    assert counted["mixing"] == INNER * (2 * model.config.vision_config.hidden_size + 29)
