"""Adapters: shared storage, what is saved, loading elsewhere, and how many parameters."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import InstructBlipConfig, InstructBlipForConditionalGeneration, LlamaConfig

from models.tiny_random import tiny_batch, tiny_image_model, tiny_video_model
from mtrans.core.errors import CheckpointError
from mtrans.core.settings import PRESETS, LoraSettings, ModelSettings, load_settings
from mtrans.models.loading import weights_hash
from mtrans.models.lora import (
    attach_adapter,
    load_adapter,
    read_adapter,
    save_adapter,
    trainable_parameters,
    trained_formula,
)
from mtrans.models.video_lmm import VideoInstructBlip

ALL = LoraSettings(rank=4, targets=("query", "key", "value", "output"))
RICH = ModelSettings(routing="both", pool="attention", temporal_position="absolute")


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tiny_image_model().save_pretrained(folder)
    return folder


def shared_storage(model) -> bool:
    """Whether each temporal projection runs on the spatial one's own memory."""
    pairs = []
    for new, old in zip(model.st_qformer.layers, model.qformer.encoder.layer, strict=True):
        inner = old.attention.attention
        pairs += [(getattr(new.temporal, n), getattr(inner, n)) for n in ("query", "key", "value")]
        pairs.append((new.temporal.output, old.attention.output.dense))
    return all(
        t.weight.data_ptr() == s.weight.data_ptr() and t.bias.data_ptr() == s.bias.data_ptr()
        for t, s in pairs
    )


def train_a_little(peft_model, steps=2):
    torch.manual_seed(7)
    trained = [p for p in peft_model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    batch = tiny_batch(peft_model, frames=3, answer=2)
    for _ in range(steps):
        peft_model.train()(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return peft_model.eval()


def test_no_copy_of_w_at_any_time(base_folder, tmp_path):
    model = VideoInstructBlip.from_pretrained(base_folder, settings=ModelSettings())
    assert shared_storage(model)
    frozen = {n for n, _ in model.named_parameters() if not n.startswith("st_qformer.")}
    assert frozen == {n for n, _ in tiny_image_model().named_parameters()}
    assert shared_storage(model.to(torch.bfloat16))
    assert shared_storage(model.float())
    model.save_pretrained(tmp_path / "whole")
    assert shared_storage(VideoInstructBlip.from_pretrained(tmp_path / "whole"))
    saved = load_file(tmp_path / "whole" / "model.safetensors")
    assert not [n for n in saved if ".temporal.query" in n or ".temporal.output" in n]
    peft_model = train_a_little(attach_adapter(model, ALL))
    assert shared_storage(peft_model.get_base_model())
    fresh = VideoInstructBlip.from_pretrained(base_folder, settings=ModelSettings())
    save_adapter(peft_model, tmp_path / "a", lora=ALL, backbone="x", weights="y")
    assert shared_storage(load_adapter(fresh, tmp_path / "a").get_base_model())


def test_the_whole_model_survives_a_round_trip(base_folder, tmp_path):
    model = VideoInstructBlip.from_pretrained(base_folder, settings=RICH).eval()
    model.save_pretrained(tmp_path)
    again = VideoInstructBlip.from_pretrained(tmp_path).eval()
    assert again.settings == RICH
    batch = tiny_batch(model)
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)


def test_the_two_branches_learn_apart():
    model = tiny_video_model(ModelSettings())
    before = {n: p.clone() for n, p in model.named_parameters() if "st_qformer" not in n}
    peft_model = train_a_little(attach_adapter(model, ALL))
    layer = peft_model.get_base_model().qformer.encoder.layer[1]
    spatial = layer.attention.attention.query.lora_B["default"].weight
    new = peft_model.get_base_model().st_qformer.layers[1]
    temporal = new.temporal.query.lora_B["default"].weight
    assert spatial.abs().sum() > 0
    assert temporal.abs().sum() > 0
    assert not torch.equal(spatial, temporal)
    after = dict(peft_model.get_base_model().named_parameters())
    for name, value in before.items():
        head, _, tail = name.rpartition(".")
        now = after.get(name, after.get(f"{head}.base_layer.{tail}"))
        assert torch.equal(now, value), name


def test_an_adapter_holds_only_what_was_trained(tmp_path):
    peft_model = attach_adapter(tiny_video_model(RICH), ALL)
    save_adapter(peft_model, tmp_path, lora=ALL, backbone="x", weights="y")
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(v.numel() for v in saved.values()) == trainable_parameters(peft_model)["total"]
    kinds = ("lora_A", "lora_B", "_router.", "_position.", "temporal_gate.", "attention_pool.")
    assert all(any(kind in name for kind in kinds) for name in saved)
    assert all("qformer." in name for name in saved)
    lora = {n for n in saved if "lora_" in n}
    assert any(".crossattention." in n for n in lora)
    assert any(".temporal." in n for n in lora)
    record = read_adapter(tmp_path)
    assert (record.model, record.lora, record.weights) == (RICH, ALL, "y")


OTHER_PROCESS = """
import sys, torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from mtrans.models.lora import read_adapter
from mtrans.models.video_lmm import VideoInstructBlip
base, adapter, batch, out = sys.argv[1:]
torch.manual_seed(123)
model = VideoInstructBlip.from_pretrained(base, settings=read_adapter(adapter).model)
model = PeftModel.from_pretrained(model, adapter).eval()
with torch.no_grad():
    save_file({"logits": model(**load_file(batch)).logits}, out)
"""


def test_plain_peft_in_another_process_gives_the_same_logits(base_folder, tmp_path):
    model = VideoInstructBlip.from_pretrained(base_folder, settings=RICH)
    peft_model = train_a_little(attach_adapter(model, ALL))
    save_adapter(peft_model, tmp_path, lora=ALL, backbone="x", weights="y")
    batch = tiny_batch(peft_model, frames=3)
    save_file(batch, tmp_path / "batch.safetensors")
    arguments = [
        base_folder,
        tmp_path,
        tmp_path / "batch.safetensors",
        tmp_path / "out.safetensors",
    ]
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, *map(str, arguments)], check=True)
    with torch.no_grad():
        here = peft_model(**batch).logits
    there = load_file(tmp_path / "out.safetensors")["logits"]
    torch.testing.assert_close(there, here, rtol=0, atol=1e-6)
    untrained = VideoInstructBlip.from_pretrained(base_folder, settings=RICH).eval()
    with torch.no_grad():
        assert (untrained(**batch).logits - here).abs().max() > 1e-3


def test_mismatches_are_named(base_folder, tmp_path):
    model = VideoInstructBlip.from_pretrained(base_folder, settings=RICH)
    weights = weights_hash(model)
    peft_model = attach_adapter(model, ALL)
    save_adapter(peft_model, tmp_path, lora=ALL, backbone="some-base", weights=weights)
    other = VideoInstructBlip.from_pretrained(base_folder, settings=ModelSettings(pool="last"))
    with pytest.raises(CheckpointError, match=r"pool=attention, not last"):
        load_adapter(other, tmp_path)
    with pytest.raises(CheckpointError, match=r"some-base"):
        load_adapter(tiny_video_model(RICH, seed=1), tmp_path, weights="0123")
    with pytest.raises(CheckpointError, match=r"not an adapter folder"):
        read_adapter(tmp_path / "nothing")
    (tmp_path / "mtrans.json").write_text(json.dumps({"model": {}}))
    with pytest.raises(CheckpointError, match=r"damaged"):
        read_adapter(tmp_path)


def test_trained_parameters_stay_fp32_and_frozen_ones_in_their_dtype(base_folder, tmp_path):
    model = VideoInstructBlip.from_pretrained(base_folder, settings=RICH, dtype=torch.bfloat16)
    assert {p.dtype for p in model.st_qformer.parameters()} == {torch.float32}
    peft_model = train_a_little(attach_adapter(model, ALL))
    dtypes = {
        (p.requires_grad, p.dtype) for n, p in peft_model.named_parameters() if "original" not in n
    }
    assert dtypes == {(True, torch.float32), (False, torch.bfloat16)}
    save_adapter(peft_model, tmp_path, lora=ALL, backbone="x", weights="y")
    again = VideoInstructBlip.from_pretrained(base_folder, settings=RICH, dtype=torch.bfloat16)
    again = load_adapter(again, tmp_path, trainable=True)
    assert {p.dtype for p in again.parameters() if p.requires_grad} == {torch.float32}
    batch = tiny_batch(model)
    with torch.no_grad():
        assert torch.equal(again.eval()(**batch).logits, peft_model(**batch).logits)


SWITCHES = {
    **{name: load_settings(preset=name) for name in PRESETS},
    "concat": load_settings(baseline="concat"),
    "rich": load_settings(values={"model.pool": "attention", "model.routing": "both"}),
}


@pytest.mark.parametrize("settings", SWITCHES.values(), ids=SWITCHES.keys())
def test_instructblip_vicuna_7b_on_the_meta_device(settings):
    llama = LlamaConfig(
        vocab_size=32001,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
    )
    config = InstructBlipConfig(text_config=llama, image_token_index=32000)
    with torch.device("meta"):
        model = VideoInstructBlip(config, settings=settings.model)
        size = sum(p.numel() for n, p in model.named_parameters() if "st_qformer" not in n)
        counts = trainable_parameters(attach_adapter(model, settings.lora))
    assert 7.8e9 < size < 8.0e9
    assert counts["total"] < 1e-3 * size
    assert counts["total"] == trained_formula(config, settings.model, settings.lora)
    assert "other" not in counts


def test_published_folders_stay_readable_by_transformers(base_folder, tmp_path):
    """A folder our class saved opens in transformers' class with the same frozen weights."""
    model = VideoInstructBlip.from_pretrained(base_folder, settings=ModelSettings())
    model.save_pretrained(tmp_path)
    theirs = InstructBlipForConditionalGeneration.from_pretrained(tmp_path)
    ours = model.state_dict()
    assert all(torch.equal(v, ours[n]) for n, v in theirs.state_dict().items())


def test_peft_loads_on_top_of_a_peft_free_model(base_folder, tmp_path):
    model = VideoInstructBlip.from_pretrained(base_folder, settings=ModelSettings())
    peft_model = attach_adapter(model, ALL)
    peft_model.save_pretrained(tmp_path)
    fresh = VideoInstructBlip.from_pretrained(base_folder, settings=ModelSettings())
    assert isinstance(PeftModel.from_pretrained(fresh, tmp_path), PeftModel)
