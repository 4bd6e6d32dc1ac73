"""Queries brought to the patches' space: the same result as keys and values for every patch."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models import st_qformer
from mtrans.models.absorbed import effective_weight
from mtrans.models.inputs import ModelInputs
from mtrans.models.lora import attach_adapter
from mtrans.models.rules import is_cheaper


def outcome(model, batch):
    model.zero_grad()
    tokens, _ = model.get_base_model().encode_video(batch)
    tokens.square().sum().backward()
    return tokens.detach(), {
        n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad
    }


@pytest.mark.parametrize("mixing", [0, 3])
def test_same_tokens_and_gradients(monkeypatch, mixing):
    targets = ("query", "key", "value", "output")
    base = tiny_video_model(ModelSettings(patch_mixing=mixing))
    model = attach_adapter(base, LoraSettings(rank=2, targets=targets)).double()
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or ("mixing.up" in name.replace("modules_to_save.default.", "")):
            nn.init.normal_(parameter, std=0.2)
    given = tiny_batch(model.get_base_model())
    given["pixel_values"] = given["pixel_values"].double()
    batch = ModelInputs.split(given)[0]
    found = {}
    for cheaper in (False, True):
        monkeypatch.setattr(st_qformer, "is_cheaper", lambda answer=cheaper, **_: answer)
        found[cheaper] = outcome(model, batch)
    torch.testing.assert_close(found[True][0], found[False][0], rtol=1e-5, atol=1e-5)
    assert any("crossattention" in n and g.abs().max() > 0 for n, g in found[True][1].items())
    assert len(found[True][1]) == len(found[False][1])
    for name, gradient in found[False][1].items():
        torch.testing.assert_close(found[True][1][name], gradient, rtol=1e-7, atol=1e-7, msg=name)


def test_effective_weight_is_what_the_layer_multiplies_with():
    layers = nn.ModuleDict({"key": nn.Linear(6, 4)})
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=6, target_modules=["key"]), layers)
    nn.init.normal_(layers["key"].lora_B["default"].weight)
    x = torch.randn(3, 6)
    by_hand = x @ effective_weight(layers["key"]).T + layers["key"].base_layer.bias
    torch.testing.assert_close(by_hand, layers["key"](x))
    layers["key"].merge()
    by_hand = x @ effective_weight(layers["key"]).T + layers["key"].base_layer.bias
    torch.testing.assert_close(by_hand, layers["key"](x))


@pytest.mark.parametrize("more", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_what_has_no_single_matrix_is_left_alone(more):
    layers = nn.ModuleDict({"key": nn.Linear(6, 4)})
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["key"], **more), layers)
    assert effective_weight(layers["key"].train()) is None


def test_counts_of_both_ways():
    assert is_cheaper(queries=32, patches=257, width=768, image_width=1408, heads=12)
    assert not is_cheaper(queries=32, patches=8, width=768, image_width=1408, heads=12)
