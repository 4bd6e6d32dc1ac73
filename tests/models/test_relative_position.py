"""The relative position: what its heads prefer before anything is learned."""

from __future__ import annotations

import pytest
import torch

from mtrans.models.temporal import RelativePosition

TIMES = torch.tensor([[0.0, 0.4, 1.1, 2.0, 5.0]])


def weights(order: float, *, scale: float = 0.0, heads: int = 4) -> torch.Tensor:
    torch.manual_seed(0)
    position = RelativePosition(heads=heads, scale=scale, order=order)
    return position(TIMES).softmax(dim=-1)[0].detach()


def test_half_of_the_heads_look_back_and_half_ahead() -> None:
    look = weights(2.5)
    middle = 2
    back, ahead = look[..., middle, :middle].sum(-1), look[..., middle, middle + 1 :].sum(-1)
    assert (back[:2] > 5 * ahead[:2]).all()
    assert (ahead[2:] > 5 * back[2:]).all()


@pytest.mark.parametrize("order", [0.0, 2.5])
def test_means_of_a_clip_and_of_its_reversal_differ_only_with_an_order(order: float) -> None:
    value = torch.randn(1, 5, 3)
    mean = (weights(order) @ value).mean(dim=1)
    turned = TIMES.max() - TIMES.flip(1)
    torch.manual_seed(0)
    again = RelativePosition(heads=4, scale=0.0, order=order)(turned).softmax(dim=-1)[0].detach()
    difference = (mean - (again @ value.flip(1)).mean(dim=1)).abs().max()
    assert (difference > 0.1) == (order > 0)


def test_the_random_part_keeps_its_size() -> None:
    torch.manual_seed(0)
    spread = RelativePosition(heads=64, scale=1.5, order=0.0)(TIMES).std()
    assert 0.7 < spread < 2.5


def test_adding_a_constant_to_all_times_changes_nothing() -> None:
    torch.manual_seed(0)
    position = RelativePosition(heads=4, scale=1.5, order=2.5)
    assert torch.allclose(position(TIMES), position(TIMES + 100.0), atol=1e-3)
