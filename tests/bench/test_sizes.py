"""The sizes are what they are called, and load on both sides."""

from __future__ import annotations

import pytest

from mtrans.bench.sizes import SIZES, config_of, on_meta
from mtrans.core.errors import SettingsError


def _millions(model) -> float:
    return sum(p.numel() for p in model.parameters()) / 1e6


def test_mid_has_the_parts_of_vit_s_and_a_llama_of_512():
    model = on_meta("mid")
    assert _millions(model.vision_model) == pytest.approx(22, abs=0.7)  # ViT-S/16
    assert len(model.qformer.encoder.layer) == 6
    assert model.query_tokens.shape == (1, 32, 384)
    llm = model.language_model.config
    assert (llm.num_hidden_layers, llm.hidden_size) == (12, 512)


def test_7b_counts_as_instructblip_vicuna_7b():
    # the published checkpoint has 7.91 billion parameters (Vicuna's 6.74 included)
    model = on_meta("7b")
    assert _millions(model) == pytest.approx(7913, rel=0.01)
    assert _millions(model.vision_model) == pytest.approx(986, rel=0.02)
    assert all(p.is_meta for p in model.parameters())


def test_every_size_has_the_same_tokens():
    configs = [config_of(size) for size in SIZES]
    assert len({c.image_token_index for c in configs}) == 1
    assert len({c.text_config.eos_token_id for c in configs}) == 1
    with pytest.raises(SettingsError, match="unknown size 'midi'"):
        config_of("midi")
