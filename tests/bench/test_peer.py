"""The peer is the peer: the same weights, prompts and function as ours where ours has no time.

What is timed is only worth timing if both sides do the same work, so this holds it: with our
temporal parts off and every frame's tokens kept, losses, likelihoods and gradients are the peer's.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mtrans.bench.clips import bench_clips
from mtrans.bench.peer import Peer, decode_all
from mtrans.bench.train_cases import PEERS_FUNCTION
from mtrans.core.settings import load_settings
from mtrans.models.loading import TINY_FOLDER, load_backbone
from mtrans.models.lora import attach_adapter, target_pattern
from mtrans.train.sources import make_collator, preprocess_settings
from mtrans.video.clip import load_clip
from mtrans.video.preprocess import preprocess

FRAMES = 3


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return bench_clips(tmp_path_factory.mktemp("clips"), 3, seconds=0.4)


@pytest.fixture(scope="module")
def peer() -> Peer:
    return Peer(TINY_FOLDER)


@pytest.fixture(scope="module")
def settings():
    return load_settings(values={"frames.count": FRAMES, **PEERS_FUNCTION})


@pytest.fixture(scope="module")
def backbone(settings):
    return load_backbone("tiny", settings.model)


@pytest.fixture(scope="module")
def items(samples, peer):
    return [(s, peer.pixels(decode_all(s.video, FRAMES))) for s in samples]


def _ours(items):
    return [(sample, pixels, np.arange(FRAMES, dtype=float)) for sample, pixels in items]


def test_batches_hold_the_same_tokens(peer, backbone, settings, items):
    theirs, ours = peer.collate(items), make_collator(backbone, settings)(_ours(items))
    for name in ("input_ids", "attention_mask", "labels", "qformer_input_ids"):
        assert torch.equal(theirs[name], ours[name]), name
    asked, prompts = peer.prompts(items), make_collator(backbone, settings).prompts(_ours(items))
    for name in ("input_ids", "attention_mask"):
        assert torch.equal(asked[name], prompts[name]), name


def test_pixels_are_prepared_alike(samples, peer, backbone):
    frames = decode_all(samples[0].video, FRAMES)
    ours = preprocess(np.stack(frames), preprocess_settings(backbone))
    np.testing.assert_allclose(peer.pixels(frames).numpy(), ours, atol=1e-5)


def test_loss_is_the_same_with_time_off(peer, backbone, settings, items):
    with torch.no_grad():
        theirs = peer.model(**peer.collate(items)).loss
        ours = backbone.model(**make_collator(backbone, settings)(_ours(items))).loss
    assert float(ours) == pytest.approx(float(theirs), rel=1e-4)


def test_candidates_are_as_likely_and_answers_the_same(peer, backbone, settings, items):
    collate = make_collator(backbone, settings)
    choices = [collate.choice_ids(sample) for sample, _ in items]
    ours = backbone.model.score_choices(choices, **collate.prompts(_ours(items)))
    for item, score in zip(items, ours, strict=True):
        np.testing.assert_allclose(peer.score_each(item), score.numpy(), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(peer.score_once([item])[0], score.numpy(), rtol=1e-3, atol=1e-3)
    batch = peer.prompts(items)
    length = batch["input_ids"].shape[1]
    theirs = peer.generate(batch, tokens=4)[:, length:]
    how = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    made = backbone.model.generate(**collate.prompts(_ours(items)), **how)[:, length:]
    assert torch.equal(theirs, made)


def test_the_same_modules_are_trained(settings):
    theirs = Peer(TINY_FOLDER)
    theirs.adapt(settings.lora)
    ours = attach_adapter(load_backbone("tiny", settings.model).model, settings.lora)

    def trained(model) -> dict[str, tuple[int, ...]]:
        return {n: tuple(p.shape) for n, p in model.named_parameters() if p.requires_grad}

    assert trained(theirs.model) == trained(ours)
    pattern = re.compile(target_pattern(settings.lora))
    assert any(pattern.fullmatch(n) for n, _ in theirs.model.get_base_model().named_modules())


def test_copies_differ_as_files_and_decode_alike(tmp_path):
    samples = bench_clips(tmp_path, 5, seconds=0.2)
    contents = [Path(s.video).read_bytes() for s in samples]
    assert len(set(contents)) == 5
    settings = load_settings(values={"frames.count": 2}).frames
    first, copy = (load_clip(samples[i].video, settings).pixels for i in (0, 4))
    assert np.array_equal(first, copy)
    assert not np.array_equal(first, load_clip(samples[1].video, settings).pixels)
