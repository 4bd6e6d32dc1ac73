"""The embedded weights are what the model card says they are."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from mtrans.core.settings import ModelSettings
from mtrans.models.loading import TINY_FOLDER, load_backbone
from mtrans.models.tiny.bridge import accuracy, describe
from mtrans.models.tiny.text import Pieces
from mtrans.video.worlds import corpus

ASKED = ("colour", "shape", "count", "position", "relation", "existence")


@pytest.fixture(scope="module")
def record():
    return json.loads((TINY_FOLDER / "training.json").read_text())


def test_they_fit_in_the_package():
    size = sum(p.stat().st_size for p in TINY_FOLDER.rglob("*") if p.is_file())
    assert size <= 20e6


@pytest.mark.parametrize("kind", ASKED)
def test_recorded_accuracy_on_held_out_stills(record, kind):
    assert record["held_out"][kind] >= 0.9
    assert record["held_out"][f"{kind}_n"] >= 500


def test_accuracy_on_other_stills_is_as_recorded(record):
    from transformers import InstructBlipForConditionalGeneration

    backbone = load_backbone("tiny", ModelSettings())
    model = InstructBlipForConditionalGeneration.from_pretrained(TINY_FOLDER)
    rng = np.random.default_rng(20261122)
    with torch.no_grad():
        held = describe(model.vision_model, corpus, rng, 250)
        found = accuracy(model, Pieces(backbone.tokenizer), held, errors=True)
    for kind in ASKED:
        expected, n = record["held_out"][kind], found[f"{kind}_n"]
        error = math.sqrt(expected * (1 - expected) / n)
        assert found[kind] >= expected - 4 * error - 0.01, kind
