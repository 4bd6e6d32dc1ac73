"""Frozen matrices in bf16: the numbers of autocast, from half the memory, whoever calls."""

from __future__ import annotations

import copy

import pytest
import torch

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core import runtime
from mtrans.core.errors import SettingsError
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.loading import load_backbone
from mtrans.models.lora import attach_adapter, save_adapter
from mtrans.models.mixed import hold_matrices

FAMILIES = [("instructblip", "llama"), ("instructblip", "t5"), ("blip2", "opt")]
CPU = torch.device("cpu")


def autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


@pytest.fixture(params=FAMILIES, ids="-".join)
def pair(request):
    """The same model twice: in fp32, and with matrices held in bf16; with an adapter."""
    family, llm = request.param
    model = tiny_video_model(ModelSettings(), family=family, llm=llm)
    batch = tiny_batch(model, answer=0 if llm == "t5" else 2)
    if llm == "t5":
        batch["labels"] = torch.tensor([[5, 6, 2], [7, 8, 2]])
    plain = attach_adapter(model, LoraSettings(dropout=0.0))
    held = copy.deepcopy(plain)
    hold_matrices(held)
    return plain, held, batch


def test_a_step_is_the_step_of_autocast(pair):
    plain, held, batch = pair
    with autocast():
        wanted = plain(**batch).loss
    found = held(**batch).loss
    assert torch.equal(found, wanted)
    wanted.backward()
    found.backward()
    gradients = {n: p.grad for n, p in held.named_parameters() if p.requires_grad}
    assert gradients
    for name, parameter in plain.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=0.02, atol=1e-4)


def test_features_are_rounded_as_products_round_them(pair):
    plain, held, batch = pair
    base = held.get_base_model()
    features = base.encode_frames(batch["pixel_values"])
    assert features.dtype == torch.bfloat16
    assert plain.get_base_model().encode_frames(batch["pixel_values"]).dtype == torch.float32
    rest = {k: v for k, v in batch.items() if k != "pixel_values"}
    live = held.eval()(**batch).loss
    for cached in (features, features.float()):
        assert torch.equal(held(**rest, patch_features=cached).loss, live)


def test_answers_are_those_of_autocast(pair):
    plain, held, batch = pair
    asked = {k: v for k, v in batch.items() if k != "labels"}
    with autocast():
        wanted = plain.generate(**asked, max_new_tokens=4)
    assert torch.equal(held.generate(**asked, max_new_tokens=4), wanted)


def test_only_frozen_matrices_are_held(pair):
    plain, held, _ = pair
    types = {name: p.dtype for name, p in held.named_parameters()}
    before = {name: p.requires_grad for name, p in plain.named_parameters()}
    assert all(types[n] == torch.float32 for n, trained in before.items() if trained)
    low = [n for n, t in types.items() if t == torch.bfloat16]
    assert any("vision_model" in n for n in low)
    assert any("language_model" in n for n in low)
    assert not [n for n in low if "embed" in n or "norm" in n.lower() or "lora_" in n]


def test_auto_is_what_the_device_is_fast_at(monkeypatch):
    for fast in (True, False):
        monkeypatch.setattr(runtime, "has_fast_bf16", lambda device, fast=fast: fast)
        for name in ("auto", "mixed"):
            kept = runtime.pick_kept(name, CPU)
            assert kept == runtime.Kept(torch.float32, mixed=fast)
            assert kept.name == ("mixed" if fast else "fp32")
    assert not runtime.pick_kept("auto", CPU, precision="fp32").mixed
    assert runtime.pick_kept("bf16", CPU) == runtime.Kept(torch.bfloat16)
    with pytest.raises(SettingsError, match="use dtype=fp32"):
        runtime.pick_kept("mixed", CPU, precision="fp32")


def test_an_adapter_belongs_to_the_weights_not_to_how_they_are_held(tmp_path):
    lora = LoraSettings()
    held = load_backbone("tiny", ModelSettings(), lora, mixed=True)
    save_adapter(held.model, tmp_path, lora=lora, backbone="tiny", weights=held.hash, base="tiny")
    plain = load_backbone("tiny", adapter=tmp_path)
    assert plain.hash == held.hash
    assert plain.identity != held.identity  # but their features differ by rounding
