"""The model under autocast and gradient checkpointing, as training runs it."""

from __future__ import annotations

import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from models.tiny_random import tiny_batch, tiny_config, tiny_image_model, tiny_video_model
from mtrans.core.settings import PRESETS, LoraSettings, ModelSettings, load_settings
from mtrans.models.lora import attach_adapter
from mtrans.models.video_lmm import VideoBlip2, VideoInstructBlip

SETTINGS = {
    **{preset: load_settings(preset=preset).model for preset in PRESETS},
    "average": ModelSettings(routing="both", routing_form="average", pool="attention"),
    "hard": ModelSettings(routing="both", routing_choice="hard", temporal_tokens="all"),
    "concat": ModelSettings(pool="concat"),
}


def gradients(model, batch):
    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert not [n for n, p in trained.items() if p.grad is None]
    found = {n: p.grad.clone() for n, p in trained.items()}
    return loss.detach(), found


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("frozen", [torch.float32, torch.bfloat16])
def test_bf16_autocast_trains_every_trained_parameter(settings, frozen, tmp_path):
    tiny_image_model().save_pretrained(tmp_path)
    model = VideoInstructBlip.from_pretrained(tmp_path, settings=settings, dtype=frozen)
    model = attach_adapter(model, LoraSettings()).train()
    batch = tiny_batch(model, frames=3, answer=2)
    batch["qformer_attention_mask"][0, -1] = 0
    batch["frame_mask"][1, -1] = False
    exact = tiny_video_model(settings)
    with torch.no_grad():
        expected = exact(**batch).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, found = gradients(model, batch)
    # positions are drawn anew, so only the size of the loss is comparable
    assert (loss - expected).abs() < 0.5 * expected
    assert all(g.isfinite().all() and g.dtype == torch.float32 for g in found.values())


def test_gradient_checkpointing_changes_nothing():
    model = attach_adapter(tiny_video_model(ModelSettings(routing="both")), LoraSettings()).train()
    batch = tiny_batch(model, frames=3, answer=2)
    loss, found = gradients(model, batch)
    base = model.get_base_model()
    assert not base.is_gradient_checkpointing
    # transformers 5.23 renamed it and warns of the old name
    new = getattr(base, "activation_checkpointing_enable", None)
    (new or base.gradient_checkpointing_enable)()
    assert base.is_gradient_checkpointing
    again, same = gradients(model, batch)
    torch.testing.assert_close(again, loss)
    for name, gradient in found.items():
        torch.testing.assert_close(same[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def with_dropout(llm):
    """BLIP-2 with much dropout in the LLM and in the ViT's attention, none in the Q-Former."""
    config = tiny_config("blip-2", llm)
    for name in ("dropout", "attention_dropout", "layerdrop", "dropout_rate"):
        if hasattr(config.text_config, name):
            setattr(config.text_config, name, 0.5)
    config.vision_config.attention_dropout = 0.5
    torch.manual_seed(0)
    return VideoBlip2(config, settings=ModelSettings())


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("llm", ["opt", "t5"])
def test_frozen_parts_drop_nothing_while_the_rest_trains(llm, recompute):
    model = with_dropout(llm)
    batch = tiny_batch(model, frames=3, answer=2)
    if llm == "t5":
        batch["labels"] = torch.tensor([[5, 6, 1], [7, 1, -100]])
    at_rest = model.eval()(**batch).loss
    assert not torch.equal(model.train()(**batch).loss, at_rest)  # nothing is frozen: all drops
    adapted = attach_adapter(model, LoraSettings(dropout=0.0))
    if recompute:
        (
            getattr(model, "activation_checkpointing_enable", None)
            or model.gradient_checkpointing_enable
        )()
    torch.testing.assert_close(adapted.train()(**batch).loss, at_rest)
    torch.testing.assert_close(adapted(**batch).loss, at_rest)
    layers = [
        m for m in model.language_model.modules() if isinstance(m, GradientCheckpointingLayer)
    ]
    assert layers
    assert all(layer.training for layer in layers)  # or transformers would recompute nothing
    assert adapted.training
    assert model.qformer.training
    assert model.st_qformer.training
    assert not any(module.training for module in adapted.eval().modules())


@pytest.mark.parametrize("name", ["video_qformer", "aim", "st_adapter", "mqt"])
def test_a_frozen_q_former_drops_nothing(name):
    config = tiny_config()
    config.qformer_config.hidden_dropout_prob = 0.5
    config.qformer_config.attention_probs_dropout_prob = 0.5
    torch.manual_seed(0)
    model = VideoInstructBlip(config, settings=ModelSettings(connector=name))
    adapted = attach_adapter(model, LoraSettings(dropout=0.0)).train()
    batch = tiny_batch(model, frames=3, answer=2)
    assert model.qformer.training == (name == "mqt")  # LoRA pairs are on it
    same = torch.equal(adapted(**batch).loss, adapted(**batch).loss)
    assert same == (name != "mqt")
    assert model.connecting.training


def test_every_trained_parameter_takes_part():
    """Distributed training waits for the gradient of every trained parameter."""
    for settings in SETTINGS.values():
        model = attach_adapter(tiny_video_model(settings), LoraSettings()).train()
        _, found = gradients(model, tiny_batch(model, frames=3, answer=2))
        assert len(found) > 10
