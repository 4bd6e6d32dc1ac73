"""Attention by plain products equals torch's fused kernel, at every length of a row."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from models.tiny_random import tiny_config
from mtrans.models import attention
from mtrans.models.attention import attend, softmax
from mtrans.models.mixed import hold_matrices
from mtrans.models.video_lmm import VideoInstructBlip


def given(length: int, dtype: torch.dtype = torch.float64):
    torch.manual_seed(length)
    # axes in the order in which projections give them: keys don't lie in the order of memory
    parts = [torch.randn(2, length, 3, 4, dtype=dtype).transpose(1, 2) for _ in range(3)]
    bias = torch.randn(2, 1, length, length, dtype=dtype)
    return [x.detach().requires_grad_() for x in (*parts, bias)]


@pytest.mark.parametrize("length", [1, 3, 8, 20])
def test_values_and_gradients_of_the_fused_kernel(length):
    results = []
    for call in (lambda q, k, v, b: attend(q, k, v, b, 0.0), F.scaled_dot_product_attention):
        inputs = given(length)
        out = call(*inputs)
        out.sin().sum().backward()
        results.append([out.detach(), *(x.grad for x in inputs)])
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("length", [1, 4, 15, 16, 20, 31, 32, 65])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_softmax_of_long_and_short_rows(length, dtype):
    torch.manual_seed(0)
    x = (30 * torch.randn(5, 2, length)).to(dtype).requires_grad_()
    twin = x.detach().double().requires_grad_()
    weight = torch.randn(5, 2, length).to(dtype)
    close = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    got, wanted = softmax(x), twin.softmax(dim=-1)
    (got * weight).sum().backward()
    (wanted * weight).sum().backward()
    assert got.dtype == x.grad.dtype == dtype
    torch.testing.assert_close(got.double(), wanted, rtol=close, atol=close)
    torch.testing.assert_close(x.grad.double(), twin.grad, rtol=close, atol=close)


def test_rows_with_hidden_and_huge_scores_stay_numbers():
    far = torch.finfo(torch.float32).min / 8
    rows = torch.tensor([[far, far, far], [1e30, 0.0, far], [200.0, 199.0, far]])
    torch.testing.assert_close(softmax(rows), rows.softmax(dim=-1))


@pytest.mark.parametrize("scores", [2**20, 100])  # in one part, and clip by clip
@pytest.mark.parametrize("of_bias", ["clips", "all", "pairs", "none"])
def test_without_gradients_in_16_bit(monkeypatch, scores, of_bias):
    monkeypatch.setattr(attention, "SCORES", scores)
    query, key, value, bias = (x.detach().float() for x in given(20))
    own = {"clips": bias, "all": bias[:1], "pairs": bias[0, 0], "none": None}[of_bias]
    wanted = F.scaled_dot_product_attention(query, key, value, own)
    few = [None if x is None else x.bfloat16() for x in (query, key, value, own)]
    with torch.no_grad():
        got = attend(*few, dropout=0.0)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), wanted, rtol=0.03, atol=0.03)


def pixels(model):
    torch.manual_seed(0)
    side = model.config.vision_config.image_size
    return torch.randn(2, 3, 3, side, side)


def test_the_vit_computes_what_transformers_computes():
    model = VideoInstructBlip(tiny_config())
    assert model.vision_model.config._attn_implementation == attention.IMPLEMENTATION
    got = model.encode_frames(pixels(model))
    model.vision_model.set_attn_implementation("sdpa")
    assert torch.equal(got, model.encode_frames(pixels(model)))


def test_a_vit_in_16_bit_takes_plain_products_and_comes_as_near(monkeypatch):
    model = VideoInstructBlip(tiny_config())
    exact = model.encode_frames(pixels(model))
    hold_matrices(model)
    called = []
    fused = attention.sdpa_attention_forward
    monkeypatch.setattr(
        attention, "sdpa_attention_forward", lambda *a, **k: called.append(1) or fused(*a, **k)
    )
    with torch.autocast("cpu", torch.bfloat16):
        plain = model.encode_frames(pixels(model)).float()
    assert not called
    model.vision_model.set_attn_implementation("sdpa")
    with torch.autocast("cpu", torch.bfloat16):
        other = model.encode_frames(pixels(model)).float()
    assert (plain - exact).norm() < 1.5 * (other - exact).norm()


def test_another_attention_that_was_asked_for_stays():
    config = tiny_config()
    config.vision_config._attn_implementation = "eager"
    model = VideoInstructBlip(config)
    assert model.vision_model.config._attn_implementation == "eager"
