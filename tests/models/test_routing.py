"""Masks, routers and the three forms."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.settings import ModelSettings
from mtrans.models.routing import (
    Router,
    Routing,
    masked_bias,
    routed_attention,
    spatial_masks,
    temporal_masks,
)

FORMS = ["log_mixture", "average", "hadamard"]


def qkv(batch=2, heads=2, length=5, width=4):
    torch.manual_seed(0)
    return torch.randn(3, batch, heads, length, width)


def test_families():
    time = temporal_masks(4, (0, 1))
    assert time[0].all()
    assert torch.equal(time[1], torch.eye(4, dtype=torch.bool))
    assert time[2].sum() == 10
    everything, within, across = spatial_masks(2, 3)
    assert everything.all()
    assert within.sum() == 4 + 9
    assert across.sum() == 2 * 6 + 5  # and each token itself
    assert (within | across).all()
    assert spatial_masks(2, 0)[2].any(dim=1).all()  # no row is empty where there is no text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("biased", [False, True])
def test_one_hot_on_the_unbounded_mask_is_plain_attention(form, biased):
    query, key, value = qkv()
    masks = temporal_masks(5, (0, 1, 2))
    alpha = F.one_hot(torch.zeros(2, dtype=torch.long), 4).float()
    bias = torch.randn(2, 2, 5, 5) if biased else None
    plain = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    routed = routed_attention(query, key, value, bias=bias, routing=Routing(alpha, masks, form))
    torch.testing.assert_close(routed, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_rows_sum_to_one_and_padding_gets_nothing(form):
    query, key, _ = qkv()
    eye = torch.eye(5).expand(2, 2, 5, 5)  # with these values the output is the attention map
    alpha = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]])
    there = torch.tensor([True, True, True, True, False])
    routing = Routing(alpha, temporal_masks(5, (0, 1)), form)
    bias = masked_bias(there, query.dtype).view(1, 1, 1, 5)
    rows = routed_attention(query, key, eye, bias=bias, routing=routing)
    torch.testing.assert_close(rows.sum(dim=-1), torch.ones(2, 2, 5))
    # the padded frame's own row may be anything finite (its radius-0 mask sees padding only)
    assert rows[:, :, :4, 4].abs().max() < 1e-6
    assert rows.isfinite().all()


def test_average_is_the_mixture_of_softmaxes():
    query, key, _ = qkv()
    eye = torch.eye(5).expand(2, 2, 5, 5)
    masks = temporal_masks(5, (1,))
    alpha = torch.tensor([[0.3, 0.7], [0.8, 0.2]])
    scores = query @ key.transpose(-1, -2) / 2
    bounded = scores.masked_fill(~masks[1], float("-inf")).softmax(-1)
    expected = alpha[:, 0].view(2, 1, 1, 1) * scores.softmax(-1)
    expected = expected + alpha[:, 1].view(2, 1, 1, 1) * bounded
    got = routed_attention(query, key, eye, routing=Routing(alpha, masks, "average"))
    torch.testing.assert_close(got, expected)


def test_log_mixture_scales_weights_and_hadamard_scales_scores():
    query, key, _ = qkv()
    eye = torch.eye(5).expand(2, 2, 5, 5)
    masks = temporal_masks(5, (1,))
    alpha = torch.tensor([[0.3, 0.7], [0.8, 0.2]])
    mixture = torch.einsum("bm,mij->bij", alpha, masks.float())[:, None]
    scores = query @ key.transpose(-1, -2) / 2
    weights = scores.exp() * mixture
    got = routed_attention(query, key, eye, routing=Routing(alpha, masks, "log_mixture"))
    torch.testing.assert_close(got, weights / weights.sum(-1, keepdim=True), rtol=1e-4, atol=1e-5)
    got = routed_attention(query, key, eye, routing=Routing(alpha, masks, "hadamard"))
    torch.testing.assert_close(got, (scores * mixture).softmax(-1))


def test_router_starts_on_the_unbounded_mask_with_gradients():
    torch.manual_seed(0)
    router = Router(width=8, masks=4)
    pooled = torch.randn(3, 8)
    alpha = router(pooled)
    assert (alpha[:, 0] > 0.9).all()
    torch.testing.assert_close(alpha.sum(dim=-1), torch.ones(3))
    alpha[:, 1].sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in router.parameters())


def test_hard_routing_samples_in_training_and_decides_after():
    torch.manual_seed(0)
    router = Router(width=8, masks=3, hard=True, temperature=2.0)
    torch.nn.init.zeros_(router.mask_bias)
    pooled = torch.randn(200, 8)
    drawn = router.train()(pooled)
    torch.testing.assert_close(drawn.max(dim=-1).values, torch.ones(200))
    assert (drawn.sum(dim=0) > 20).all()
    drawn[:, 0].sum().backward()
    assert router.mask_bias.grad.abs().sum() > 0
    decided = router.eval()(pooled)
    assert torch.equal(decided, router(pooled))
    assert set(decided.unique().tolist()) == {0.0, 1.0}


def test_temperature_reaches_every_router():
    model = tiny_video_model(ModelSettings(routing="both", routing_choice="hard"))
    model.set_routing_temperature(0.25)
    found = [m.temperature for m in model.modules() if isinstance(m, Router)]
    assert found == [0.25] * 6


@pytest.mark.parametrize("form", FORMS)
def test_probabilities_come_out_and_routers_get_gradients(form):
    settings = ModelSettings(routing="both", routing_form=form, masks_per_layer=(1, 2, 4))
    model = tiny_video_model(settings)
    out = model(**tiny_batch(model, batch=2, frames=3, answer=2))
    shapes = [
        (
            None if r.spatial is None else r.spatial.shape,
            None if r.temporal is None else r.temporal.shape,
        )
        for r in out.routing
    ]
    assert shapes == [(None, None), ((2, 3, 2), (2, 2)), ((2, 3, 3), (2, 4)), ((2, 3, 3), (2, 4))]
    out.loss.backward()
    for router in (m for m in model.modules() if isinstance(m, Router)):
        assert all(p.grad.abs().sum() > 0 for p in router.parameters())
