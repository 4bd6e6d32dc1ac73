"""What must hold for any weights: order, time, padding, batching, routing."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from models.tiny_random import QUERIES, tiny_batch, tiny_video_model
from mtrans.core.errors import SettingsError
from mtrans.core.settings import PRESETS, ModelSettings, load_settings
from mtrans.models.inputs import ModelInputs

VARIANTS = {
    **{preset: load_settings(preset=preset).model for preset in PRESETS},
    "all tokens": ModelSettings(temporal_tokens="all", routing="both", routing_form="average"),
    "attention pool": ModelSettings(pool="attention", routing="spatial"),
    "last": ModelSettings(pool="last"),
    "spread": ModelSettings(pool="spread"),
    "concat": ModelSettings(pool="concat"),
    "no fusion": ModelSettings(fusion="none"),
    "hard": ModelSettings(routing="both", routing_choice="hard"),
    "baseline concat": load_settings(baseline="concat").model,
    "baseline mean": load_settings(baseline="mean").model,
}
EVERY = pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS.keys())


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def wake(model):
    """Moves new parameters off their symmetric starts, so that nothing holds by initialisation."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.st_qformer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@EVERY
@torch.no_grad()
def test_padded_frames_change_nothing(settings):
    model = wake(tiny_video_model(settings))
    batch = tiny_batch(model, frames=3)
    plain = model(**batch).logits
    padded = tiny_batch(model, frames=5)
    text = batch["input_ids"][:, model.visual_tokens(3) :]
    padded["input_ids"] = torch.cat([padded["input_ids"][:, : model.visual_tokens(5)], text], dim=1)
    padded["qformer_input_ids"] = batch["qformer_input_ids"]
    padded["pixel_values"][:, :3] = batch["pixel_values"]
    padded["frame_times"][:, :3] = batch["frame_times"]
    padded["frame_mask"][:, 3:] = False
    close(model(**padded).logits[:, -text.shape[1] :], plain[:, -text.shape[1] :])
    padded["frame_mask"][:] = True
    assert not torch.allclose(model(**padded).logits[:, -1], plain[:, -1], atol=1e-4)


@EVERY
@torch.no_grad()
def test_a_batch_is_its_samples(settings):
    model = wake(tiny_video_model(settings))
    batch = tiny_batch(model, batch=3, frames=3)
    batch["qformer_attention_mask"][0, -2:] = 0
    batch["attention_mask"][1, -1] = 0
    batch["frame_mask"][2, -1] = False
    together = model(**batch)
    for i in range(3):
        alone = model(**{k: v[i : i + 1] for k, v in batch.items()})
        seen = batch["attention_mask"][i].bool()
        close(alone.logits[0][seen], together.logits[i][seen])


@EVERY
@torch.no_grad()
def test_cached_features_equal_live_frames(settings):
    model = wake(tiny_video_model(settings))
    batch = tiny_batch(model, frames=2)
    live = model(**batch).logits
    batch["patch_features"] = model.encode_frames(batch.pop("pixel_values"), frames_at_once=3)
    close(model(**batch).logits, live)


@pytest.mark.parametrize("pool", ["mean", "attention"])
@pytest.mark.parametrize("position", ["relative", "absolute", "none"])
@torch.no_grad()
def test_order_matters_only_with_positions(pool, position):
    settings = ModelSettings(pool=pool, temporal_position=position, routing="off")
    model = wake(tiny_video_model(settings))
    batch = tiny_batch(model, frames=4)
    plain = model(**batch).logits
    batch["pixel_values"] = batch["pixel_values"][:, [2, 0, 3, 1]]
    shuffled = model(**batch).logits
    if position == "none":
        close(shuffled, plain)
    else:
        assert (shuffled - plain).abs().max() > 1e-3


@EVERY
@torch.no_grad()
def test_only_time_differences_matter(settings):
    model = wake(tiny_video_model(settings))
    batch = tiny_batch(model, frames=4)
    plain = model(**batch).logits
    close(model(**{**batch, "frame_times": batch["frame_times"] + 16.0}).logits, plain)
    stretched = model(**{**batch, "frame_times": batch["frame_times"] * 7}).logits
    relative = settings.mqt and settings.temporal_position == "relative"
    assert ((stretched - plain).abs().max() > 1e-4) == relative


@torch.no_grad()
def test_time_reversal_is_seen_from_the_start():
    """Past and future have different biases before any training."""
    model = tiny_video_model(ModelSettings(routing="off"))
    batch = tiny_batch(model, frames=4)
    batch["pixel_values"][:, 1:] = batch["pixel_values"][:, 1:].flip(1)
    plain = model(**batch).logits
    batch["frame_times"] = -batch["frame_times"]
    assert (model(**batch).logits - plain).abs().max() > 1e-3
    assert batch["frame_times"].isfinite().all()


@pytest.mark.parametrize(("frames", "pool"), [(1, "mean"), (7, "mean"), (7, "concat")])
def test_visual_tokens(frames, pool):
    model = tiny_video_model(ModelSettings(pool=pool))
    tokens, _ = model.encode_video(ModelInputs(patch_features=torch.randn(2, frames, 5, 24)))
    expected = frames * QUERIES if pool == "concat" else QUERIES
    assert tokens.shape[1] == model.visual_tokens(frames) == expected


@torch.no_grad()
def test_without_vision_pixels_do_not_matter_but_text_does():
    model = tiny_video_model(ModelSettings(vision=False))
    batch = tiny_batch(model)
    plain = model(**batch).logits
    other = {**batch, "pixel_values": torch.randn_like(batch["pixel_values"])}
    assert torch.equal(model(**other).logits, plain)
    features = model.encode_frames(batch["pixel_values"])
    close(model(**{**batch, "pixel_values": None}, patch_features=features).logits, plain)
    other = {**batch, "qformer_input_ids": batch["qformer_input_ids"].flip(1)}
    assert not torch.allclose(model(**other).logits, plain)


@torch.no_grad()
def test_without_fusion_qformer_text_does_not_matter():
    model = tiny_video_model(ModelSettings(fusion="none"))
    batch = tiny_batch(model)
    other = {**batch, "qformer_input_ids": batch["qformer_input_ids"].flip(1)}
    assert torch.equal(model(**other).logits, model(**batch).logits)


def test_gradients_reach_everything_new_and_nothing_else_needs_them():
    for settings in VARIANTS.values():
        model = wake(tiny_video_model(settings)).requires_grad_(False)
        model.st_qformer.requires_grad_(True)
        model.train()(**tiny_batch(model, frames=4, answer=2)).loss.backward() if any(
            True for _ in model.st_qformer.parameters()
        ) else None
        dead = [
            name
            for name, p in model.st_qformer.named_parameters()
            if p.grad is None or not p.grad.abs().sum() > 0
        ]
        # before the first cross-attention all frames are the same: no order to learn, exactly
        still = [name for name in dead if name.startswith("layers.0.temporal_position.")]
        assert bool(still) == (settings.mqt and settings.temporal_position == "relative")
        dead = [name for name in dead if name not in still]
        assert not dead, (settings, dead)
        assert all(p.grad is None for n, p in model.named_parameters() if "st_qformer" not in n)


@torch.no_grad()
def test_one_frame_stands_for_equal_frames():
    """The first layer runs once a clip: the same as once a frame."""
    settings = ModelSettings(routing="both", masks_per_layer=(3,), temporal_tokens="all")
    model = wake(tiny_video_model(settings))
    seen = []
    hook = model.st_qformer.layers[0].register_forward_pre_hook(
        lambda module, args, kwargs: seen.append((args, kwargs)), with_kwargs=True
    )
    batch = tiny_batch(model, frames=3)
    batch["frame_mask"][0, 2] = False
    batch["qformer_attention_mask"][1, -1] = 0
    model(**batch)
    hook.remove()
    ((layer, x, clip), kwargs) = seen[0]
    assert x.shape[1] == 1
    once, routing = model.st_qformer.layers[0](layer, x, clip, **kwargs)
    every, full = model.st_qformer.layers[0](layer, x.expand(-1, 3, -1, -1), clip, **kwargs)
    close(once, every)
    close(routing.spatial, full.spatial)
    close(routing.temporal, full.temporal)


def test_errors_say_what_to_do():
    model = tiny_video_model(ModelSettings(temporal_position="absolute", max_frames=2))
    with pytest.raises(SettingsError, match=r"max_frames"):
        model(**tiny_batch(model, frames=3))
    batch = tiny_batch(model, frames=2)
    batch["input_ids"] = batch["input_ids"][:, 1:]
    batch["attention_mask"] = batch["attention_mask"][:, 1:]
    with pytest.raises(SettingsError, match=r"start each prompt with 4 times token 99"):
        model(**batch)
    batch["pixel_values"] = None
    with pytest.raises(SettingsError, match=r"pass one of them"):
        model(**batch)


def test_every_switch_has_a_variant_here():
    """Adding a value to a switch without testing it fails."""
    used = {
        f.name: {getattr(s, f.name) for s in VARIANTS.values()}
        for f in dataclasses.fields(ModelSettings)
    }
    assert used["pool"] == {"mean", "attention", "last", "spread", "moments", "concat"}
    assert used["routing_form"] == {"log_mixture", "average", "hadamard"}
    assert used["routing"] == {"off", "spatial", "temporal", "both"}
