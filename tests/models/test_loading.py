"""From a name to a backbone."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, PreTrainedTokenizerFast

from models.tiny_random import IMAGE, tiny_batch, tiny_image_model
from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models import loading
from mtrans.models.loading import load_backbone, weights_hash
from mtrans.models.lora import save_adapter
from mtrans.models.video_lmm import VideoBlip2, VideoInstructBlip


def save_tokenizer(folder):
    words = {"<pad>": 0, "<s>": 1, "</s>": 2, "what": 3, "moves": 4, "<unk>": 5}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("backbone")
    tiny_image_model().save_pretrained(path)
    save_tokenizer(path)
    save_tokenizer(path / "qformer_tokenizer")
    numbers = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1], "resample": 2}
    (path / "preprocessor_config.json").write_text(json.dumps(numbers))
    return path


def test_a_folder_gives_everything(folder):
    backbone = load_backbone(str(folder), ModelSettings())
    assert isinstance(backbone.model, VideoInstructBlip)
    assert backbone.base is backbone.model
    assert backbone.tokenizer("what moves").input_ids == [3, 4]
    assert backbone.qformer_tokenizer("moves").input_ids == [4]
    assert (backbone.image.height, backbone.image.width) == (IMAGE, IMAGE)
    assert backbone.image.mean == (0.5, 0.4, 0.3)
    assert backbone.image.resample == 2
    assert backbone.prompt_style == "instructblip"
    assert not any(p.requires_grad for p in backbone.model.parameters())
    assert not backbone.model.training


def test_tiny_is_the_folder_inside_the_package(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "TINY_FOLDER", folder)
    assert load_backbone("tiny").prompt_style == "tiny"
    monkeypatch.setattr(loading, "TINY_FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match=r"tiny\.pretrain"):
        load_backbone("tiny")


def test_an_adapter_brings_its_switches(folder, tmp_path):
    settings, lora = ModelSettings(pool="last", routing="both"), LoraSettings(rank=2)
    first = load_backbone(str(folder), settings, lora)
    assert first.base.settings == settings
    save_adapter(first.model, tmp_path, lora=lora, backbone=first.name, weights=first.hash)
    again = load_backbone(str(folder), adapter=tmp_path)
    assert again.base.settings == settings
    batch = tiny_batch(again.base)
    with torch.no_grad():
        assert torch.equal(again.model(**batch).logits, first.model(**batch).logits)
    with pytest.raises(SettingsError, match=r"not both"):
        load_backbone(str(folder), lora=lora, adapter=tmp_path)


def test_the_hash_follows_the_frozen_weights_only(folder):
    one = load_backbone(str(folder), ModelSettings())
    other = load_backbone(str(folder), ModelSettings(pool="attention"))
    assert one.hash == other.hash
    assert load_backbone(str(folder), dtype=torch.bfloat16).hash != one.hash
    with torch.no_grad():
        other.base.vision_model.post_layernorm.bias[3] += 1e-3
    assert weights_hash(other.base) != one.hash


def test_blip2(tmp_path):
    tiny_image_model("blip-2", "opt").save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    backbone = load_backbone(str(tmp_path))
    assert isinstance(backbone.model, VideoBlip2)
    assert backbone.qformer_tokenizer is None
    assert backbone.prompt_style == "blip2"
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "prompt_style": "tiny"}))
    assert load_backbone(str(tmp_path)).prompt_style == "tiny"


def test_what_is_not_a_backbone_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no/such-model' (can't be found|is not on this)"):
        load_backbone("no/such-model")
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"is a 'bert' model; wanted instructblip or blip-2"):
        load_backbone(str(tmp_path))
