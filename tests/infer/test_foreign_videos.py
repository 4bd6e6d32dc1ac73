"""Models that take videos, tiny and random: our frames, as images where torchvision is missing."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest
import torch

from mtrans.core.errors import CheckpointError
from mtrans.core.settings import load_settings
from mtrans.infer.foreign import load_foreign
from mtrans.infer.foreign_checkpoint import AS_IMAGES
from mtrans.video.clip import load_clip

from . import foreign_videos
from .foreign_models import ask_about_shades, make_words
from .foreign_videos import TILE

WITH_TORCHVISION = importlib.util.find_spec("torchvision") is not None
WITH_WORDS = importlib.util.find_spec("num2words") is not None
KINDS = {
    "llava-onevision": foreign_videos.make_onevision,
    "llava-next-video": foreign_videos.make_next_video,
    "internvl": foreign_videos.make_internvl,
    "qwen2-vl": foreign_videos.make_qwen2,
    "qwen2.5-vl": foreign_videos.make_qwen2_5,
    "smolvlm": foreign_videos.make_smolvlm,
    "videollama3": foreign_videos.make_videollama3,
}
QUESTION = "Question: Is it red? Options: (a) red (b) blue. Short answer:"
needs_words = pytest.mark.skipif(not WITH_WORDS, reason="num2words is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Makes a model's folder once."""
    made = {}

    def make(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("models") / kind
            made[kind].mkdir()
            torch.manual_seed(0)
            KINDS[kind](made[kind])
        return str(made[kind])

    return make


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return ask_about_shades(tmp_path_factory.mktemp("clips"), width=48)


def _settings():
    return load_settings(overrides=["frames.count=3", "dtype=fp32"])


def _stepwise(model, inputs, answer):
    """Adds up the log-likelihood of an answer's tokens, one forward pass a token."""
    total = 0.0
    for done in range(len(answer)):
        more = torch.tensor([answer[:done]], dtype=torch.long)
        grown = {**inputs, "input_ids": torch.cat([inputs["input_ids"], more], dim=1)}
        for name in {"attention_mask", "mm_token_type_ids"} & set(inputs):
            tail = torch.full_like(more, int(name == "attention_mask"))
            grown[name] = torch.cat([inputs[name], tail], dim=1)
        with torch.inference_mode():
            last = model(**grown).logits[0, -1]
        total += float(last.log_softmax(dim=-1)[answer[done]])
    return total


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=needs_words) if k == "smolvlm" else k for k in KINDS]
)
def test_every_kind_answers_and_scores(kind, folder, sample):
    predictor = load_foreign(folder(kind), _settings(), device="cpu", max_new_tokens=3)
    assert predictor.backbone.name == kind + AS_IMAGES * (not WITH_TORCHVISION)
    said, textual = predictor.predict([sample, dataclasses.replace(sample, id="2", video=None)])
    assert said.error is None
    assert said.parse in ("parsed", "failed")
    assert said.tokens["visual"] >= 3  # a frame is at least a token
    assert textual.tokens["visual"] == 0
    # whatever the model kept from generating must not reach the scores
    predictor.likelihood = True
    (made,) = predictor.predict([sample])
    inputs = predictor._inputs(sample, load_clip(sample.video, _settings().frames))
    tokenizer, model = predictor.backbone.processor.tokenizer, predictor.backbone.model
    ids = [tokenizer(c, add_special_tokens=False)["input_ids"] for c in sample.choices]
    wanted = [_stepwise(model, inputs, answer) for answer in ids]
    assert made.log_likelihoods == pytest.approx(wanted, abs=1e-3)
    assert made.choice == int(np.argmax(wanted))


def _onevision_by_hand(images, tokenizer, frames):
    seen = dict(images([list(frames)], return_tensors="pt"))
    return seen, "<image>" * (TILE**2 + 1) * len(frames)  # a new line's token after each frame


def _qwen_by_hand(images, tokenizer, frames):
    seen = dict(images(list(frames), return_tensors="pt"))
    pads = [int(grid.prod()) // 4 for grid in seen["image_grid_thw"]]  # 2 x 2 patches a token
    return seen, "".join(f"<|vision_start|>{'<|image_pad|>' * n}<|vision_end|>" for n in pads)


@pytest.mark.skipif(WITH_TORCHVISION, reason="with torchvision frames are shown as a video")
@pytest.mark.parametrize(
    ("kind", "by_hand"), [("llava-onevision", _onevision_by_hand), ("qwen2-vl", _qwen_by_hand)]
)
def test_scores_equal_a_computation_by_hand(kind, by_hand, folder, sample):
    """Nothing of the predictor's is used: frames of our loader, tokens and pixels put together."""
    predictor = load_foreign(folder(kind), _settings(), device="cpu", likelihood=True)
    (made,) = predictor.predict([sample])
    processor, model = predictor.backbone.processor, predictor.backbone.model
    tokenizer = processor.tokenizer
    frames = load_clip(sample.video, _settings().frames).pixels
    seen, places = by_hand(processor.image_processor, tokenizer, frames)
    prompt = tokenizer(places + QUESTION, return_tensors="pt")
    inputs = {**seen, "input_ids": prompt["input_ids"], "attention_mask": prompt["attention_mask"]}
    if kind == "qwen2-vl":
        pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        inputs["mm_token_type_ids"] = (prompt["input_ids"] == pad).long()
    ids = [tokenizer(c, add_special_tokens=False)["input_ids"] for c in sample.choices]
    wanted = [_stepwise(model, inputs, answer) for answer in ids]
    assert made.log_likelihoods == pytest.approx(wanted, abs=1e-3)
    inputs["pixel_values"] = inputs["pixel_values"].flip(0)
    assert _stepwise(model, inputs, ids[0]) != pytest.approx(wanted[0], abs=1e-3)  # order counts


@pytest.mark.skipif(WITH_WORDS, reason="num2words is installed")
def test_smolvlm_says_what_it_needs(folder):
    with pytest.raises(CheckpointError, match="not installed: num2words; install it") as caught:
        load_foreign(folder("smolvlm"), _settings(), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(WITH_TORCHVISION, reason="torchvision is installed")
def test_a_kind_with_videos_only_says_what_it_needs(tmp_path):
    make_words().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "instructblipvideo"}')
    (tmp_path / "processor_config.json").write_text(
        '{"processor_class": "InstructBlipVideoProcessor",'
        ' "video_processor": {"video_processor_type": "InstructBlipVideoVideoProcessor"}}'
    )
    with pytest.raises(CheckpointError, match="not installed: torchvision; install it") as caught:
        load_foreign(str(tmp_path), _settings(), device="cpu")
    assert "\n" not in str(caught.value)
