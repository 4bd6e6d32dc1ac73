"""Attention by plain products equals torch's fused kernel, at every length of a row."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mtrans.models.attention import attend, softmax


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
