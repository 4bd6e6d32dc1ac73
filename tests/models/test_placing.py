"""The frozen LLM kept in the machine's memory: the same numbers, nothing of it on the device."""

from __future__ import annotations

import pytest
import torch

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.errors import SettingsError
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.loading import load_backbone
from mtrans.models.lora import attach_adapter
from mtrans.models.placing import hold_in_place, let_go, offload_llm


def step(model, batch):
    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("llm", ["llama", "opt", "t5"])
def test_losses_and_gradients_are_the_same_and_the_weights_are_away(llm, recompute):
    model = tiny_video_model(
        ModelSettings(), family="blip-2" if llm == "opt" else "instructblip", llm=llm
    )
    model = attach_adapter(model, LoraSettings()).train()
    batch = tiny_batch(model, frames=3, answer=2)
    if llm == "t5":
        batch["labels"] = torch.tensor([[5, 6, 1], [7, 1, -100]])
    if recompute:
        inner = model.get_base_model()
        new = getattr(inner, "activation_checkpointing_enable", None)
        (new or inner.gradient_checkpointing_enable)()
    base = model.get_base_model()
    loss, gradients = step(model, batch)
    offload_llm(base, "cpu")
    assert all(p.is_meta for p in base.language_model.parameters())
    model.to("cpu").float()  # as the Trainer does: the LLM stays where it is
    again, same = step(model, batch)
    torch.testing.assert_close(again, loss)
    for ours, theirs in zip(same, gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert all(p.is_meta for p in base.language_model.parameters())
    assert not any(p.is_meta for p in base.vision_model.parameters())


def test_what_is_held_does_not_move_until_let_go():
    layer = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    hold_in_place(layer[0])
    layer.to(torch.bfloat16)
    assert [part.weight.dtype for part in layer] == [torch.float32, torch.bfloat16]
    let_go(layer[0])
    let_go(layer[1])
    assert layer.to(torch.bfloat16)[0].weight.dtype == torch.bfloat16


def test_contradictions_are_named():
    with pytest.raises(SettingsError, match="offload=llm and quantize=8bit exclude"):
        load_backbone("tiny", offload="llm", quantize="8bit")
    with pytest.raises(SettingsError, match="not 'meta'"):
        offload_llm(None, "meta")
