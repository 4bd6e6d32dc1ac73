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
    layer = nn.Conv3d(INNER, INNER, 3, padding=1, groups=INNER).double()
    far = {"padding": (step, 1, 1), "dilation": (step, 1, 1)}
    apart = nn.Conv3d(INNER, INNER, 3, groups=INNER, **far).double()
    apart.load_state_dict(layer.state_dict())
    x = torch.randn(2, frames, INNER, SIDE, SIDE, dtype=torch.float64)
    expected = apart(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(neighbours(x, layer, step), expected)
    torch.testing.assert_close(neighbours(x, layer, torch.tensor([step, 1]))[0], expected[0])


def moved_by(model, changed, frames):
    """Frames whose channels change with that one's patches."""
    x = patches(frames)
    plain = model(x, there(frames)).low
    x[:, changed] += 1.0
    moved = (model(x, there(frames)).low - plain).abs().amax(dim=(0, 2, 3)) > 1e-12
    return moved.nonzero().flatten().tolist()


def test_a_step_is_how_far_away_neighbours_are():
    assert moved_by(PatchMixing(WIDTH, INNER, step=2).double(), 2, frames=5) == [0, 2, 4]


@pytest.mark.parametrize(("frames", "step"), [(1, 1), (4, 1), (7, 1), (8, 2), (16, 4), (32, 8)])
def test_neighbours_are_a_quarter_of_the_clip_away(frames, step):
    at = frames // 2
    near = [t for t in (at - step, at, at + step) if 0 <= t < frames]
    assert moved_by(PatchMixing(WIDTH, INNER).double(), at, frames) == near


def test_a_clip_of_fewer_frames_is_mixed_as_it_is_alone(mixing):
    x, seen = patches(8), there(8)
    seen[1, 4:] = False  # its quarter is one frame, the other clip's two
    together = mixing(x, seen).low
    torch.testing.assert_close(together[:1], mixing(x[:1], there(8, 1)).low)
    torch.testing.assert_close(together[1:, :4], mixing(x[1:, :4], there(4, 1)).low)
    some = seen[..., None].repeat(1, 1, x.shape[2])
    some[..., 3] = False
    alone = mixing(x[1:, :4], some[1:, :4]).low
    torch.testing.assert_close(mixing(x, some).low[1:, :4], alone)


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
