"""Linear layers run together give what each gives by itself, gradients included."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from mtrans.models.projecting import close, project, taken_apart
from mtrans.models.temporal import SharedLinear


class Block(nn.Module):
    """A query with a pair, a key without, a value with a pair on a weight it shares."""

    def __init__(self, **lora):
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.owned = nn.Linear(6, 4), nn.Linear(6, 8), nn.Linear(6, 4)
        self.value = SharedLinear(self, "owned")
        self.requires_grad_(False)
        config = LoraConfig(r=2, lora_alpha=6, target_modules=["query", "value"], **lora)
        inject_adapter_in_model(config, self)
        for name, parameter in self.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter)

    @property
    def layers(self):
        return self.query, self.key, self.value


def outcome(block, together, dtype):
    block.zero_grad()
    torch.manual_seed(1)
    # an axis is cut off, as queries are from text: rows don't lie one behind the other
    whole = torch.randn(2, 3, 7, 6, dtype=dtype, requires_grad=True)
    x = whole[:, :, :5]
    made = project(x, *block.layers) if together else [layer(x) for layer in block.layers]
    sum(y.double().square().sum() for y in made).backward()
    trained = {n: p.grad.clone() for n, p in block.named_parameters() if p.grad is not None}
    return [y.detach() for y in made], {**trained, "x": whole.grad}


def compare(block, dtype=torch.float64, close=1e-12):
    alone, together = (outcome(block, t, dtype) for t in (False, True))
    assert [y.shape for y in together[0]] == [(2, 3, 5, 4), (2, 3, 5, 8), (2, 3, 5, 4)]
    assert set(together[1]) == set(alone[1])
    pairs = [*zip(together[0], alone[0], strict=True)]
    pairs += [(together[1][name], wanted) for name, wanted in alone[1].items()]
    for got, wanted in pairs:
        assert got.dtype == wanted.dtype
        assert (got - wanted).norm() <= close * wanted.norm()
    return alone[1]


def count_calls(block, monkeypatch):
    called = []
    for layer in block.layers:
        plain = layer.forward
        monkeypatch.setattr(layer, "forward", lambda x, f=plain: called.append(1) or f(x))
    project(torch.randn(2, 6, dtype=block.key.weight.dtype), *block.layers)
    return len(called)


def test_values_and_gradients(monkeypatch):
    block = Block().double()
    assert len(compare(block)) == 5  # two pairs and the input
    assert count_calls(block, monkeypatch) == 0


def test_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        compare(Block(), torch.float32, close=2e-2)


def test_switched_off_and_merged_pairs():
    block = Block().double()
    block.query.enable_adapters(False)
    compare(block)
    assert taken_apart(block.query).pairs == ()
    block.query.enable_adapters(True)
    block.query.merge()
    compare(block)


@pytest.mark.parametrize("more", [{"lora_dropout": 0.5}, {"use_dora": True}, {"lora_bias": True}])
def test_what_is_not_only_matrices_is_called(more, monkeypatch):
    block = Block(**{k: v for k, v in more.items() if k != "use_dora"}).train()
    if "use_dora" in more:
        block.query.use_dora = {"default": True}
        assert taken_apart(block.query) is None
        return
    assert count_calls(block, monkeypatch) == 3


def test_who_watches_a_layer_sees_its_output(monkeypatch):
    block, seen = Block(), []
    block.key.register_forward_hook(lambda module, given, output: seen.append(output))
    made = project(torch.randn(2, 6), *block.layers)
    assert torch.equal(seen[0], made[1])


def test_other_types_than_the_inputs_are_left_to_the_layers(monkeypatch):
    block = Block()
    for layer in (block.query.base_layer, block.key, block.owned):
        layer.to(torch.bfloat16)  # pairs stay fp32
    assert count_calls(block, monkeypatch) == 3


class End(nn.Module):
    """The end of an attention block, as transformers has it, with a pair."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.dense, self.LayerNorm = nn.Linear(6, 6), nn.LayerNorm(6)
        self.dropout = nn.Dropout(0.0)
        self.requires_grad_(False)
        inject_adapter_in_model(LoraConfig(r=2, lora_alpha=6, target_modules=["dense"]), self)
        nn.init.normal_(self.dense.lora_B["default"].weight)

    def forward(self, mixed, x):
        return self.LayerNorm(self.dropout(self.dense(mixed)) + x)


@pytest.mark.parametrize("autocast", [False, True])
def test_the_end_of_a_block(autocast):
    end, close_to = End(), 2e-2 if autocast else 1e-5
    outcomes = []
    for run in (end, lambda *given: close(end, *given)):
        torch.manual_seed(1)
        mixed, x = (torch.randn(2, 5, 6, requires_grad=True) for _ in range(2))
        end.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            made = run(mixed, x)
        (made * torch.randn(6)).sum().backward()  # a sum of squares is the same for any input
        pair = end.dense.lora_A["default"].weight.grad.clone()
        outcomes.append((made.detach(), mixed.grad, x.grad, pair))
    for got, wanted in zip(*reversed(outcomes), strict=True):
        assert got.dtype == wanted.dtype
        assert wanted.norm() > 0
        assert (got - wanted).norm() <= close_to * wanted.norm()


def test_the_end_of_a_block_takes_another_layer_and_can_be_watched():
    end, other, seen = End(), nn.Linear(6, 6), []
    end.register_forward_hook(lambda module, given, output: seen.append(output))
    mixed, x = torch.randn(2, 2, 5, 6)
    assert torch.equal(close(end, mixed, x), seen[0])
    wanted = end.LayerNorm(other(mixed) + x)
    assert torch.allclose(close(end, mixed, x, other), wanted, atol=1e-6)
    assert len(seen) == 1
