"""With everything new at rest, the model is transformers' own, in logits and in generated ids."""

from __future__ import annotations

import pytest
import torch
from transformers import InstructBlipVideoConfig, InstructBlipVideoForConditionalGeneration

from models.tiny_random import (
    IMAGE_TOKEN,
    QUERIES,
    tiny_batch,
    tiny_config,
    tiny_image_model,
    tiny_video_model,
)
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.lora import attach_adapter

AT_REST = [
    ModelSettings(gate_init=0.0, routing="off"),
    ModelSettings(gate_init=0.0, routing="temporal", temporal_tokens="all", pool="attention"),
    ModelSettings(mqt=False, routing="off"),
    ModelSettings(mqt=False, routing="off", pool="last"),
]


def reference(image_model, batch):
    """transformers' logits on the first frame of each clip."""
    keep = ["input_ids", "attention_mask"]
    if image_model.config.model_type == "instructblip":
        keep += ["qformer_input_ids", "qformer_attention_mask"]
    first = batch["pixel_values"][:, 0]
    return image_model(pixel_values=first, **{k: batch[k] for k in keep}).logits


def right_pad_text(batch):
    batch["qformer_attention_mask"][0, -2:] = 0
    batch["attention_mask"][1, -2:] = 0
    return batch


def close_where_seen(ours, theirs, batch):
    seen = batch["attention_mask"].bool()
    torch.testing.assert_close(ours[seen], theirs[seen], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", AT_REST)
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("adapter", [False, True])
@torch.no_grad()
def test_instructblip_on_identical_frames(settings, frames, adapter):
    image_model = tiny_image_model()
    model = tiny_video_model(settings, image_model=image_model)
    batch = right_pad_text(tiny_batch(model, frames=frames))
    batch["pixel_values"] = batch["pixel_values"][:, :1].expand(-1, frames, -1, -1, -1)
    if adapter:
        model = attach_adapter(model, LoraSettings(targets=("query", "key", "value", "output")))
    ours = model.eval()(**batch).logits
    close_where_seen(ours, reference(image_model, batch), batch)


@pytest.mark.parametrize(
    ("family", "llm"),
    [("blip-2", "llama"), ("blip-2", "opt"), ("instructblip", "opt"), ("instructblip", "t5")],
)
@torch.no_grad()
def test_other_families_and_language_models(family, llm):
    image_model = tiny_image_model(family, llm)
    model = tiny_video_model(ModelSettings(gate_init=0.0), family=family, llm=llm)
    batch = tiny_batch(model, frames=1)
    if llm == "t5":
        answer = torch.tensor([[5, 6, 1], [7, 1, -100]])
        theirs = image_model(
            pixel_values=batch["pixel_values"][:, 0],
            labels=answer,
            **{k: batch[k] for k in batch if k.startswith(("qformer", "input", "attention"))},
        )
        ours = model(labels=answer, **batch)
        torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-5, atol=1e-5)
        return
    right_pad_text(batch)
    close_where_seen(model(**batch).logits, reference(image_model, batch), batch)


@torch.no_grad()
def test_concat_is_instructblipvideo():
    image_model = tiny_image_model()
    plain = tiny_config().to_dict()
    parts = {k: plain[k] for k in ("vision_config", "qformer_config", "text_config")}
    config = InstructBlipVideoConfig(
        **parts, num_query_tokens=QUERIES, video_token_index=IMAGE_TOKEN
    )
    theirs = InstructBlipVideoForConditionalGeneration(config).eval()
    theirs.load_state_dict(image_model.state_dict())
    ours = tiny_video_model(ModelSettings(mqt=False, routing="off", pool="concat"))
    batch = right_pad_text(tiny_batch(ours, frames=4))
    keep = ("pixel_values", "qformer_input_ids", "qformer_attention_mask", "input_ids")
    expected = theirs(**{k: batch[k] for k in keep}, attention_mask=batch["attention_mask"]).logits
    assert ours.visual_tokens(4) == 4 * QUERIES
    close_where_seen(ours(**batch).logits, expected, batch)


def test_the_ungated_form_mixes_frames_from_the_start():
    """So that the tests above can't pass because the temporal branch does nothing."""
    image_model = tiny_image_model()
    model = tiny_video_model(ModelSettings(temporal_gate="none", routing="off"))
    batch = tiny_batch(model, frames=1)
    with torch.no_grad():
        gap = (model(**batch).logits - reference(image_model, batch)).abs().max()
    assert gap > 1e-2


@torch.no_grad()
def test_loss_is_transformers_loss():
    image_model = tiny_image_model()
    model = tiny_video_model(ModelSettings(gate_init=0.0))
    batch = tiny_batch(model, frames=1, answer=3)
    theirs = image_model(
        pixel_values=batch["pixel_values"][:, 0],
        **{k: v for k, v in batch.items() if not k.startswith(("pixel", "frame"))},
    )
    ours = model(**batch)
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-5, atol=1e-5)
    assert ours.logits is None
    assert model(**batch, all_logits=True).logits.shape == theirs.logits.shape
    halved = model(**batch, num_items_in_batch=12).loss  # 6 answer tokens here, 6 elsewhere
    torch.testing.assert_close(halved, theirs.loss / 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "how", [{}, {"num_beams": 3}, {"do_sample": True, "top_k": 5}], ids=["greedy", "beam", "sample"]
)
@pytest.mark.parametrize("llm", ["llama", "t5"])
def test_generate_writes_what_transformers_writes(how, llm):
    image_model = tiny_image_model(llm=llm)
    model = tiny_video_model(ModelSettings(gate_init=0.0), llm=llm)
    batch = tiny_batch(model, frames=1)
    if llm == "t5":  # pads on the right; a gap would count in its relative positions
        batch["attention_mask"][0, -2:] = 0
    else:
        batch["attention_mask"][0, QUERIES : QUERIES + 2] = 0
    how = {**how, "max_new_tokens": 5}
    torch.manual_seed(3)
    expected = image_model.generate(
        pixel_values=batch["pixel_values"][:, 0],
        **{k: batch[k] for k in batch if k.startswith(("qformer", "input", "attention"))},
        **how,
    )
    torch.manual_seed(3)
    assert torch.equal(model.generate(**batch, **how), expected)
