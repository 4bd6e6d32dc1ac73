"""Scoring of candidates equals the naive loop, and looks at each clip once."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.errors import SettingsError
from mtrans.core.settings import ModelSettings

CHOICES = [[[5, 6, 2], [7, 2]], [[8], [9, 10, 11, 2], [12, 2]], [[3, 2]]]


def naive(model, batch, choices):
    """One forward pass a candidate, prompt without padding, all logits."""
    scores = []
    for i, group in enumerate(choices):
        one = {k: v[i : i + 1] for k, v in batch.items()}
        seen = one["attention_mask"].bool()
        prompt = one["input_ids"][seen].unsqueeze(0)
        row = []
        for choice in group:
            ids = torch.cat([prompt, torch.tensor([choice])], dim=1)
            out = model(**{**one, "input_ids": ids, "attention_mask": torch.ones_like(ids)})
            logp = F.log_softmax(out.logits[0, -len(choice) - 1 : -1], dim=-1)
            row.append(logp[torch.arange(len(choice)), torch.tensor(choice)].sum())
        scores.append(torch.stack(row))
    return scores


@pytest.mark.parametrize("llm", ["llama", "opt"])
@pytest.mark.parametrize("side", ["none", "left", "right"])
@pytest.mark.parametrize("pool", ["mean", "concat"])
@torch.no_grad()
def test_equals_the_naive_loop(llm, side, pool):
    model = tiny_video_model(ModelSettings(pool=pool), llm=llm)
    batch = tiny_batch(model, batch=3, frames=2)
    if side == "right":
        batch["attention_mask"][1, -2:] = 0
    if side == "left":  # padding in front of the visual places
        pad = torch.zeros(3, 3, dtype=torch.long)
        batch["input_ids"] = torch.cat([pad, batch["input_ids"]], dim=1)
        batch["attention_mask"] = torch.cat([pad, batch["attention_mask"]], dim=1)
    ours = model.score_choices(CHOICES, **batch)
    for a, b in zip(ours, naive(model, batch, CHOICES), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_encoder_decoder():
    model = tiny_video_model(ModelSettings(), llm="t5")
    batch = tiny_batch(model, batch=3, frames=2)
    ours = model.score_choices(CHOICES, **batch)
    for i, group in enumerate(CHOICES):
        for j, choice in enumerate(group):
            one = {k: v[i : i + 1] for k, v in batch.items()}
            loss = model(**one, labels=torch.tensor([choice])).loss
            torch.testing.assert_close(ours[i][j], -loss * len(choice), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_visual_part_runs_once_and_the_prompt_once():
    model = tiny_video_model(ModelSettings())
    calls = {"visual": 0, "rows": []}

    def visual(*_):
        calls["visual"] += 1

    def language(_module, _args, kwargs):
        calls["rows"].append(tuple(kwargs["inputs_embeds"].shape[:2]))

    model.st_qformer.register_forward_pre_hook(visual)
    model.language_model.model.register_forward_pre_hook(language, with_kwargs=True)
    batch = tiny_batch(model, batch=3, frames=2)
    model.score_choices(CHOICES, **batch)
    assert calls["visual"] == 1
    assert calls["rows"] == [tuple(batch["input_ids"].shape), (6, 3)]


def test_bad_candidates_are_named():
    model = tiny_video_model(ModelSettings())
    batch = tiny_batch(model, batch=2)
    with pytest.raises(SettingsError, match=r"at least one candidate"):
        model.score_choices([[[3]], []], **batch)
    with pytest.raises(SettingsError, match=r"no tokens"):
        model.score_choices([[[3]], [[]]], **batch)
