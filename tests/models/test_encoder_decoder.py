"""Backbones with an encoder-decoder LLM (Flan-T5): padding, adaptation, scoring, generation."""

from __future__ import annotations

import pytest
import torch

from models.tiny_random import IMAGE_TOKEN, tiny_batch, tiny_image_model, tiny_video_model
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.loading import load_backbone, weights_hash
from mtrans.models.lora import attach_adapter, load_adapter, save_adapter
from mtrans.models.video_lmm import VideoBlip2, VideoInstructBlip

from .test_loading import save_tokenizer

CHOICES = [[[5, 6, 1], [7, 1]], [[8], [9, 10, 11, 1]]]
ANSWERS = torch.tensor([[5, 6, 1], [7, 1, -100]])
CONCAT = ModelSettings(pool="concat")
RICH = ModelSettings(pool="attention", routing="both", temporal_position="absolute")
LORA = LoraSettings(rank=4, targets=("query", "key", "value", "output"))
FAMILIES = {"instructblip": VideoInstructBlip, "blip-2": VideoBlip2}


def answers_of(model, batch):
    """Everything an encoder-decoder says: logits, loss, scores of candidates, generated ids."""
    out = model(labels=ANSWERS[: len(batch["input_ids"])], **batch)
    scores = model.score_choices(CHOICES[: len(batch["input_ids"])], **batch)
    ids = model.generate(**batch, max_new_tokens=4, min_new_tokens=4, num_beams=2)
    return out.logits, out.loss, torch.cat(scores), ids


def close(a, b):
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def with_frames(model, batch, frames):
    """The same batch with padded frames of noise behind the real ones."""
    longer = tiny_batch(model, frames=frames, seed=9)
    there = batch["pixel_values"].shape[1]
    text = slice(model.visual_tokens(there), None)
    places = torch.full((len(batch["input_ids"]), model.visual_tokens(frames)), IMAGE_TOKEN)
    longer["input_ids"] = torch.cat([places, batch["input_ids"][:, text]], dim=1)
    longer["attention_mask"] = torch.ones_like(longer["input_ids"])
    for name in ("qformer_input_ids", "qformer_attention_mask"):
        longer[name] = batch[name]
    for name in ("pixel_values", "frame_times", "frame_mask"):
        longer[name][:, :there] = batch[name]
    longer["frame_mask"][:, there:] = False
    return longer


@pytest.mark.parametrize("pool", ["concat", "mean", "attention", "last", "spread", "moments"])
@torch.no_grad()
def test_padded_frames_change_nothing(pool):
    model = tiny_video_model(ModelSettings(pool=pool), llm="t5")
    batch = tiny_batch(model, frames=2)
    longer = with_frames(model, batch, 5)
    close(answers_of(model, longer), answers_of(model, batch))
    longer["frame_mask"][:] = True
    assert not torch.allclose(answers_of(model, longer)[0], answers_of(model, batch)[0], atol=1e-3)


@torch.no_grad()
def test_a_gap_would_matter():
    """So that the test above can't pass because T5 does not look at positions."""
    model = tiny_video_model(CONCAT, llm="t5")
    embeds = torch.randn(1, 6, 32)
    gap = torch.cat([embeds[:, :3], torch.randn(1, 20, 32), embeds[:, 3:]], dim=1)
    seen = torch.tensor([[1] * 3 + [0] * 20 + [1] * 3])
    plain = model.language_model(inputs_embeds=embeds, labels=ANSWERS[:1]).logits
    apart = model.language_model(inputs_embeds=gap, attention_mask=seen, labels=ANSWERS[:1]).logits
    assert (plain - apart).abs().max() > 1e-3


@pytest.mark.parametrize("side", ["left", "right", "between"])
@torch.no_grad()
def test_padded_prompts_change_nothing(side):
    model = tiny_video_model(CONCAT, llm="t5")
    batch = tiny_batch(model, frames=2)
    at = {"left": 0, "between": model.visual_tokens(2), "right": None}[side]
    padded = dict(batch)
    for name, value in (("input_ids", 7), ("attention_mask", 0)):
        row, pad = batch[name], torch.full((2, 3), value)
        head, tail = (row, row[:, :0]) if at is None else (row[:, :at], row[:, at:])
        padded[name] = torch.cat([head, pad, tail], dim=1)
    close(answers_of(model, padded), answers_of(model, batch))


@torch.no_grad()
def test_a_batch_is_its_samples():
    model = tiny_video_model(CONCAT, llm="t5")
    batch = tiny_batch(model, frames=3)
    batch["frame_mask"][1, 1:] = False
    batch["attention_mask"][0, -2:] = 0
    logits, loss, scores, _ = answers_of(model, batch)
    parts, sums = [], 0.0
    for i in range(2):
        one = {k: v[i : i + 1] for k, v in batch.items()}
        answer = ANSWERS[i : i + 1]
        alone = model(labels=answer, **one)
        torch.testing.assert_close(alone.logits[0], logits[i], rtol=1e-4, atol=1e-5)
        sums += alone.loss * int((answer != -100).sum())
        parts += model.score_choices(CHOICES[i : i + 1], **one)
    torch.testing.assert_close(torch.cat(parts), scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss, sums / 5, rtol=1e-4, atol=1e-5)
    halved = model(labels=ANSWERS, num_items_in_batch=10, **batch).loss
    torch.testing.assert_close(halved, loss / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", [RICH, CONCAT], ids=["rich", "concat"])
@pytest.mark.parametrize("family", FAMILIES)
def test_two_steps_then_an_adapter_on_a_fresh_model(family, settings, tmp_path):
    tiny_image_model(family, "t5").save_pretrained(tmp_path / "base")

    def fresh():
        torch.manual_seed(11)
        return FAMILIES[family].from_pretrained(tmp_path / "base", settings=settings).eval()

    model = fresh()
    identity = weights_hash(model)
    adapted = attach_adapter(model, LORA)
    batch = tiny_batch(adapted, frames=3)
    with torch.no_grad():
        before = adapted(labels=ANSWERS, **batch)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    for _ in range(2):
        adapted.train()(labels=ANSWERS, **batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    adapted.eval()
    save_adapter(adapted, tmp_path / "a", lora=LORA, backbone="base", weights=identity)
    again = load_adapter(fresh(), tmp_path / "a", weights=identity).eval()
    with torch.no_grad():
        here, there = answers_of(adapted, batch), answers_of(again, batch)
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))
    assert here[1] < before.loss
    assert (here[0] - before.logits).abs().max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_loaded_by_name(family, tmp_path):
    tiny_image_model(family, "t5").save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    save_tokenizer(tmp_path / "qformer_tokenizer")
    backbone = load_backbone(str(tmp_path), ModelSettings(), LORA)
    assert not backbone.base.config.use_decoder_only_language_model
    names = {n for n, p in backbone.model.named_parameters() if p.requires_grad}
    assert names
    assert not any("language_model" in n for n in names)
