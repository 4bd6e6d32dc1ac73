"""Attention worked out beside the model is the attention of the model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from einops import rearrange

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.settings import ModelSettings
from mtrans.models.inputs import ModelInputs
from mtrans.models.maps import attention_maps, attention_weights, mean_cross, rollout
from mtrans.models.mixed import hold_matrices
from mtrans.models.routing import Routing, routed_attention, temporal_masks

FORMS = ("log_mixture", "average", "hadamard")


@pytest.mark.parametrize("form", [None, *FORMS])
def test_weights_times_values_are_the_attention_that_the_model_computes(form: Any) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 5, 8)
    bias = torch.randn(2, 1, 5, 5)
    routing = None
    if form is not None:
        masks = temporal_masks(5, (0, 1))
        routing = Routing(torch.rand(2, 3).softmax(dim=-1), masks, form)
    weights = attention_weights(query, key, bias=bias, routing=routing)
    wanted = routed_attention(query, key, value, bias=bias, routing=routing)
    assert torch.allclose(weights @ value, wanted, atol=1e-5)
    assert torch.allclose(weights.sum(dim=-1), torch.ones(2, 4, 5), atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"routing": "both"}, {"temporal_gate": "none"}])
def test_cross_attention_is_what_the_model_mixes_patches_by(changes: dict[str, Any]) -> None:
    model = tiny_video_model(ModelSettings(**changes))
    given = tiny_batch(model, batch=1)
    batch, _ = ModelInputs.split(given)
    place = next(
        i for i, layer in enumerate(model.qformer.encoder.layer) if layer.has_cross_attention
    )
    attention = model.qformer.encoder.layer[place].crossattention
    inner, heads = attention.attention, attention.attention.num_attention_heads
    kept: list[Any] = []
    with torch.no_grad():
        # with the same values in all heads, the mean over heads is mixed by the mean of weights
        for values in (inner.value.weight, inner.value.bias):
            size = len(values) // heads
            values.copy_(values[:size].repeat(heads, *[1] * (values.dim() - 1)))
        handle = attention.output.register_forward_hook(lambda m, args, out: kept.append(args))
        model.encode_clips(batch)
        handle.remove()
        patches = model.encode_frames(given["pixel_values"])
        value = rearrange(inner.value(patches), "1 t p (h d) -> t h p d", h=heads)[:, 0]
    cross = attention_maps(model, batch)[place].cross
    assert cross is not None
    mixed = rearrange(kept[0][0], "1 t q (h d) -> t q h d", h=heads).mean(dim=2)
    assert torch.allclose(cross @ value, mixed, atol=1e-5)


@pytest.mark.parametrize("in_bf16", [False, True])
def test_maps_have_shapes_and_rows_that_sum_to_one(in_bf16: bool) -> None:
    model = tiny_video_model(ModelSettings(routing="both"))
    if in_bf16:
        hold_matrices(model)
    batch, _ = ModelInputs.split(tiny_batch(model, batch=1))
    layers = attention_maps(model, batch)
    assert len(layers) == 4
    for m in layers:
        assert m.spatial.shape == (3, 4, 9)
        assert torch.allclose(m.spatial.sum(dim=-1), torch.ones(3, 4), atol=1e-5)
        assert m.temporal is not None
        assert m.temporal.shape == (4, 3, 3)
        assert torch.allclose(m.temporal.sum(dim=-1), torch.ones(4, 3), atol=1e-5)
        assert m.gate == pytest.approx(0.5)
    assert rollout(layers).shape == mean_cross(layers).shape == (3, 5)
    assert (rollout(layers) >= 0).all()


@pytest.mark.parametrize("mqt", [False, True])
def test_rollout_leaves_a_frame_only_through_attention_between_frames(mqt: bool) -> None:
    model = tiny_video_model(ModelSettings(mqt=mqt, routing="off"))
    given = tiny_batch(model, batch=1)
    before = attention_maps(model, ModelInputs.split(given)[0])
    given["pixel_values"][:, 0] += 1.0
    after = attention_maps(model, ModelInputs.split(given)[0])
    assert all((m.temporal is None) == (not mqt) for m in before)
    others = torch.allclose(rollout(before)[1:], rollout(after)[1:], atol=1e-6)
    assert others == (not mqt)
    assert not torch.allclose(rollout(before)[0], rollout(after)[0], atol=1e-4)


def test_hooks_are_gone_after_and_the_model_answers_as_before() -> None:
    model = tiny_video_model(ModelSettings())
    given = tiny_batch(model, batch=1)
    with torch.no_grad():
        before = model(**given).logits
        attention_maps(model, ModelInputs.split(given)[0])
        assert torch.equal(model(**given).logits, before)
    assert not any(m._forward_hooks for m in model.qformer.modules())
