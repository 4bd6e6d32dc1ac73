"""`model.queries`: some of the Q-Former's learned queries, in every design, saved and loaded."""

from __future__ import annotations

import pytest
import torch

from models.tiny_random import QUERIES, tiny_batch, tiny_video_model
from mtrans.core.errors import SettingsError
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.connectors import CONNECTORS
from mtrans.models.inputs import ModelInputs
from mtrans.models.lora import attach_adapter, load_adapter, save_adapter, trained_formula
from mtrans.train.cost import count_parameters

LORA = LoraSettings(rank=2, targets=("query", "value"))
OWN_TOKENS = ("stc", "slowfast_pool", "mlp_concat")
"""Designs whose tokens are made from the patches."""

FEW = ModelSettings(queries=3)


@pytest.mark.parametrize("name", sorted(CONNECTORS))
@torch.no_grad()
def test_every_design_asks_so_many(name):
    if CONNECTORS.get(name).answers_itself:
        pytest.skip("it reads patches, or has no visual tokens")
    few, all_ = (
        tiny_video_model(ModelSettings(connector=name, memory=2, queries=n)) for n in (3, None)
    )
    tokens = few.visual_tokens(5)
    made, _ = few.encode_video(ModelInputs(pixel_values=torch.randn(2, 5, 3, 16, 16)))
    assert made.shape == (2, tokens, 32)
    whole = all_.visual_tokens(5)
    own = name in OWN_TOKENS
    assert tokens == (whole if own else whole * 3 // QUERIES)


@torch.no_grad()
def test_the_first_ones_are_asked():
    torch.manual_seed(0)
    model = tiny_video_model(FEW).eval()
    pixels = ModelInputs(pixel_values=torch.randn(2, 4, 3, 16, 16))
    before, _ = model.encode_video(pixels)
    model.query_tokens[:, 3:] += 1
    assert torch.equal(model.encode_video(pixels)[0], before)
    model.query_tokens[:, 2] += 1
    assert not torch.equal(model.encode_video(pixels)[0], before)


@pytest.mark.parametrize("pool", ["mean", "moments", "concat"])
def test_a_saved_adapter_answers_alike(pool, tmp_path):
    settings = ModelSettings(queries=3, pool=pool)
    torch.manual_seed(0)
    model = attach_adapter(tiny_video_model(settings), LORA)
    base = model.get_base_model()
    assert base.visual_tokens(4) == (12 if pool == "concat" else 3)
    given = tiny_batch(base, frames=4, answer=2)
    model(**given).loss.backward()
    assert count_parameters(model)[0] == trained_formula(base.config, settings, LORA)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.eval()
    save_adapter(model, tmp_path, lora=LORA, backbone="x", weights="y")
    torch.manual_seed(0)
    again = load_adapter(tiny_video_model(settings), tmp_path).eval()
    asked = tiny_batch(base, frames=4)
    written = [m.get_base_model().generate(**asked, max_new_tokens=4) for m in (model, again)]
    assert torch.equal(*written)
    torch.testing.assert_close(model(**given).loss, again(**given).loss)


@pytest.mark.parametrize("family", ["instructblip", "blip-2"])
def test_more_than_there_are_is_refused(family):
    with pytest.raises(SettingsError, match=r"model\.queries=5: .*learned 4 queries"):
        tiny_video_model(ModelSettings(queries=5), family=family)
    with pytest.raises(SettingsError, match=r"model\.queries=0: at least 1"):
        ModelSettings(queries=0)
