"""Pools over frames, worked by hand."""

from __future__ import annotations

import pytest
import torch

from mtrans.models.pooling import (
    MomentsPool,
    SpreadPool,
    masked_mean,
    pool_frames,
    relative_time,
)

POOLS = pytest.mark.parametrize("made", [SpreadPool, MomentsPool])

TIMES = torch.tensor([[0.0, 1.0, 2.0, 4.0]])
ALL = torch.ones(1, 4, dtype=torch.bool)


def clip() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(1, 4, 6, 5)


def test_spread_starts_half_at_the_mean_and_half_near_the_end() -> None:
    x = clip()
    pooled = SpreadPool(5, 6)(x, ALL, TIMES)
    assert torch.allclose(pooled[:, 0::2], masked_mean(x, ALL)[:, 0::2], atol=1e-6)
    weight = torch.softmax(5 * torch.tensor([0.0, 0.25, 0.5, 1.0]), dim=0)
    late = torch.einsum("t,btqc->bqc", weight, x)[:, 1::2]
    assert torch.allclose(pooled[:, 1::2], late, atol=1e-6)
    assert weight[-1] > 0.85


def test_spread_tells_a_clip_from_its_reversal() -> None:
    x, pool = clip(), SpreadPool(5, 6)
    even = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    apart = (pool(x, ALL, even) - pool(x.flip(1), ALL, even)).abs().amax(dim=(0, 2))
    assert (apart[0::2] < 1e-6).all()
    assert (apart[1::2] > 0.1).all()


def test_moments_start_half_at_the_mean_and_half_from_start_to_end() -> None:
    x, even = clip(), torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    pooled = MomentsPool(5, 6)(x, ALL, even)
    assert torch.allclose(pooled[:, 0::2], masked_mean(x, ALL)[:, 0::2], atol=1e-6)
    along = torch.linspace(0, 1, 4)
    for query, middle in ((1, 0.0), (3, 0.5), (5, 1.0)):
        weight = torch.softmax(-((along - middle) ** 2) / (2 * 0.2**2), dim=0)
        wanted = torch.einsum("t,btc->bc", weight, x[:, :, query])
        assert torch.allclose(pooled[:, query], wanted, atol=1e-5)


@POOLS
def test_proportions_of_time_are_asked_for_alone(made) -> None:
    x, pool = clip(), made(5, 6)
    assert torch.allclose(pool(x, ALL, TIMES), pool(x, ALL, 7 * TIMES + 30), atol=1e-5)


@POOLS
def test_frames_that_are_not_there_are_left_out(made) -> None:
    x, pool = clip(), made(5, 6)
    mask = torch.tensor([[True, True, True, False]])
    whole = pool(x[:, :3], ALL[:, :3], TIMES[:, :3])
    assert torch.allclose(pool(x, mask, TIMES), whole, atol=1e-6)


@POOLS
def test_one_frame_is_what_is_pooled_of_it(made) -> None:
    x = clip()[:, :1]
    assert torch.allclose(made(5, 6)(x, ALL[:, :1], TIMES[:, :1]), x[:, 0])


def test_more_queries_than_slopes_share_them_in_turn() -> None:
    x = clip()
    six = SpreadPool(5, 6)(x, ALL, TIMES)
    assert torch.allclose(SpreadPool(5, 2)(x, ALL, TIMES), six)


def test_relative_time_runs_from_first_to_last_of_the_frames_that_are_there() -> None:
    mask = torch.tensor([[True, True, True, False]])
    assert relative_time(mask, TIMES + 9).tolist() == [[0.0, 0.5, 1.0, 0.0]]
    assert relative_time(ALL, torch.full((1, 4), 3.0)).tolist() == [[0.0] * 4]


def test_last_takes_the_last_frame_that_is_there() -> None:
    x = clip()
    mask = torch.tensor([[True, True, False, False]])
    assert torch.equal(pool_frames(x, mask, pool="last"), x[:, 1])
