"""The recipe of the embedded model runs from end to end and writes what `load_backbone` reads."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from mtrans.core.records import Sample, Turn
from mtrans.core.settings import ModelSettings, PromptSettings
from mtrans.data.prompts import build_prompt
from mtrans.models.loading import load_backbone
from mtrans.models.tiny import architecture
from mtrans.models.tiny.pretrain import Recipe, run
from mtrans.models.tiny.text import Pieces
from mtrans.models.tiny.vision import to_pixels
from mtrans.video.preprocess import PreprocessSettings, preprocess
from mtrans.video.worlds import corpus

SMALL = Recipe(
    language_steps=3,
    language_batch=4,
    vision_steps=3,
    vision_batch=4,
    bridge_stills=40,
    bridge_steps=3,
    bridge_batch=8,
    polish_stills=40,
    polish_steps=3,
    watched=20,
    held_out_documents=30,
    held_out=30,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    run(SMALL, out=folder / "weights", work=folder / "work")
    return folder


@pytest.fixture(scope="module")
def tokenizer():
    return architecture.make_tokenizer(corpus.sentences())


@pytest.mark.slow
def test_what_the_recipe_writes_loads(made):
    backbone = load_backbone(str(made / "weights"))
    assert backbone.prompt_style == "tiny"
    assert backbone.image.mean == architecture.MEAN
    assert backbone.base.visual_tokens(4) == architecture.QUERIES
    record = json.loads((made / "weights" / "training.json").read_text())
    assert record["recipe"]["seed"] == 0
    assert set(record["stages"]) == {"language", "vision", "bridge", "polish"}
    assert "synthetic" in (made / "weights" / "README.md").read_text()


@pytest.mark.slow
def test_finished_stages_are_reused(made):
    before = {p.name: p.stat().st_mtime_ns for p in (made / "work").glob("*.safetensors")}
    first = (made / "weights" / "model.safetensors").read_bytes()
    run(SMALL, out=made / "weights", work=made / "work")
    after = {p.name: p.stat().st_mtime_ns for p in (made / "work").glob("*.safetensors")}
    assert before == after
    assert len(after) == 4
    assert (made / "weights" / "model.safetensors").read_bytes() == first


@pytest.mark.slow
def test_bridge_leaves_vit_and_llm_alone(made):
    from safetensors.torch import load_file

    whole = load_file(made / "weights" / "model.safetensors")
    for part, prefix in (("vision", "vision_model."), ("language", "language_model.")):
        for name, tensor in load_file(made / "work" / f"{part}.safetensors").items():
            if prefix + name in whole:
                torch.testing.assert_close(whole[prefix + name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("context", ["", "carl: what a terrible movie."])
def test_texts_are_those_of_the_prompt_style(tokenizer, context):
    question = corpus.make_document(np.random.default_rng(3)).questions[0]
    question = type(question)(question.type, question.text, question.answer, context)
    speaker, _, said = context.partition(": ")
    turns = (Turn(said, speaker),) if context else ()
    sample = Sample("1", None, question.text, context=turns)
    prompt = build_prompt(sample, ModelSettings(), PromptSettings(), "tiny")
    pieces = Pieces(tokenizer)
    assert pieces.prompt(question) == tokenizer(prompt.llm_text).input_ids
    assert pieces.qformer(question) == tokenizer(prompt.qformer_text).input_ids


def test_pixels_are_those_of_the_image_processor():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    settings = PreprocessSettings(height=64, width=64, mean=architecture.MEAN, std=architecture.STD)
    ours = to_pixels(pictures).numpy()
    np.testing.assert_allclose(ours, preprocess(pictures, settings), atol=1e-5)


def test_any_text_has_tokens(tokenizer):
    text = "zebra Ünïcode 42?"
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids).strip() == text.lower()
    assert all(i < architecture.VOCABULARY for i in ids)
