"""Presets, files and --set laid over one another; each wrong one named in one line."""

from __future__ import annotations

import dataclasses

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.settings import (
    BASELINES,
    PRESETS,
    RunSettings,
    TrainSettings,
    flatten,
    load_settings,
    setting_fields,
    settings_from_dict,
    settings_of_file,
    settings_to_dict,
)
from mtrans.core.settings.ranges import RANGES


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("model.masks_per_layer=1,2,4", (1, 2, 4)),
        ("model.masks_per_layer=1, 2, 4", (1, 2, 4)),
        ("model.masks_per_layer=[1, 2, 4]", (1, 2, 4)),
        ("model.masks_per_layer=3", (3,)),
        ("model.temporal_radii=[]", ()),
        ("lora.targets=query,value", ("query", "value")),
        ("lora.targets=[query, value]", ("query", "value")),
        ("lora.targets=key", ("key",)),
        ("train.betas=0.9,0.999", (0.9, 0.999)),
        ("train.betas=[0.9, 1e-1]", (0.9, 0.1)),
    ],
)
def test_lists_can_be_set(text: str, value: tuple[object, ...]) -> None:
    settings = load_settings(overrides=[text])
    group, name = text.partition("=")[0].split(".")
    found = getattr(getattr(settings, group), name)
    assert found == value
    assert [type(v) for v in found] == [type(v) for v in value]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model.masks_per_layer=1,two", r"model.masks_per_layer='two': wanted int"),
        ("model.masks_per_layer=1,2.5", r"wanted int"),
        ("model.masks_per_layer=1,0", r"needs >= 1 mask"),
        ("lora.targets=query,valu", r"unknown 'valu'.*value"),
        ("lora.targets=[]", r"lora.targets=: wanted one or more of query, key, value, output"),
        ("lora.targets=query,query", r"lora.targets=query,query: wanted .* each once"),
        ("train.betas=0.9", r"wanted 2 values"),
        ("train.betas=0.9,high", r"'high': wanted float"),
        ("train.batch_size=32.5", r"wanted int"),
        ("train.batch_sise=32", r"train.batch_size"),
        ("train=32", r"is a group"),
        ("train.seed.more=1", r"train.seed=.*wanted int"),
        ("model.pool=max", r"not one of mean, last"),
        ("train.seed", r"wanted key=value"),
    ],
)
def test_wrong_ones_are_named(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        load_settings(overrides=[text])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("trian.max_steps=2", "train.max_steps"),
        ("max_steps=2", "train.max_steps"),
        ("model.tempral_gate=none", "model.temporal_gate"),
        ("trane.model.betas=1", None),
        ("zzz=1", None),
    ],
)
def test_the_nearest_name_is_offered_and_never_all(text: str, near: str | None) -> None:
    with pytest.raises(SettingsError, match="unknown setting") as caught:
        load_settings(overrides=[text])
    if near:
        assert f"did you mean '{near}'?" in str(caught.value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("frames.count=0", "at least 1"),
        ("train.batch_size=0", "at least 1"),
        ("train.micro_batch_size=0", "at least 1"),
        ("train.learning_rate=-1", "above 0"),
        ("train.learning_rate=.nan", "above 0"),
        ("train.learning_rate=.inf", "above 0"),
        ("train.position_learning_rate=0", "above 0"),
        ("train.betas=2,3", "below 1"),
        ("train.betas=0.9,1", "below 1"),
        ("train.seed=-1", "from 0 to 4294967295"),
        ("train.seed=4294967296", "from 0 to 4294967295"),
        ("train.epochs=0", "above 0"),
        ("train.max_steps=0", "-1 to count epochs"),
        ("train.max_steps=-2", "-1 to count epochs"),
        ("train.warmup=5", "from 0 to 1"),
        ("train.evaluate_every=0", "at least 1"),
        ("train.save_every=0", "at least 1"),
        ("train.patience=-1", "at least 1"),
        ("train.workers=-1", "0 or more"),
        ("train.clip_norm=-1", "0 or more"),
        ("train.weight_decay=-1", "0 or more"),
        ("lora.rank=0", "at least 1"),
        ("lora.alpha=0", "above 0"),
        ("lora.dropout=1.5", "below 1"),
        ("model.routing_temperature=0", "above 0"),
        ("model.temporal_radii=0,-1", "0 or more"),
        ("prompt.max_text_tokens=0", "at least 1"),
    ],
)
def test_a_number_out_of_range_is_named(text: str, wanted: str) -> None:
    name = text.partition("=")[0]
    with pytest.raises(SettingsError, match=wanted) as caught:
        load_settings(overrides=[text])
    assert str(caught.value).startswith(f"{name}=")
    assert "\n" not in str(caught.value)


def test_every_range_is_of_a_setting_and_holds_for_the_defaults() -> None:
    names = {f"{group}.{name}" for group, found in RANGES.items() for name in found}
    assert names <= set(setting_fields())
    assert TrainSettings(betas=(0.0, 0.999), warmup=1.0, max_steps=-1, patience=1).patience == 1


def test_layers_lie_over_one_another(tmp_path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("preset: paper\ntrain: {seed: 1, batch_size: 3}\nmodel.masks_per_layer: 1,2\n")
    settings = load_settings(
        file=file,
        baseline="mean",
        values={"train.seed": 2},
        overrides=["train.seed=3", "model.routing=off"],
    )
    assert settings.preset == "paper"
    assert settings.train.learning_rate == PRESETS["paper"]["train.learning_rate"]
    assert settings.model.mqt is BASELINES["mean"]["model.mqt"]
    assert settings.train.batch_size == 3
    assert settings.model.masks_per_layer == (1, 2)
    assert settings.train.seed == 3
    assert settings.model.routing == "off"  # which YAML reads as false


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("baseline", [None, *BASELINES])
def test_dictionaries_and_back(preset: str, baseline: str | None) -> None:
    settings = load_settings(preset=preset, baseline=baseline)
    data = settings_to_dict(settings)
    assert settings_from_dict(data) == settings
    assert settings_from_dict(flatten(data)) == settings
    assert set(flatten(data)) == set(setting_fields())


def test_every_preset_and_baseline_names_settings_that_exist() -> None:
    named = {key for change in (*PRESETS.values(), *BASELINES.values()) for key in change}
    assert named <= set(setting_fields())


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunSettings().backbone = "other"  # type: ignore[misc]


def test_files_from_before_a_setting_mean_what_was_done_then():
    old = flatten(settings_to_dict(load_settings()))
    del old["model.position_order"]
    assert settings_of_file(old).model.position_order == 0.0
    assert settings_of_file({**old, "model.position_order": 1.5}).model.position_order == 1.5
    idle = {"model.temporal_position": "none", "model.connector": "stc", "frames.count": 1}
    for key, value in idle.items():
        elsewhere = settings_of_file({**old, key: value})  # it has no effect there
        assert elsewhere.model.position_order == load_settings().model.position_order


def test_patches_of_old_runs_are_mixed_with_the_next_frame():
    old = flatten(settings_to_dict(load_settings()))
    del old["model.patch_mixing_step"]
    assert load_settings().model.patch_mixing_step == 0
    assert settings_of_file({**old, "frames.count": 8}).model.patch_mixing_step == 1
    for idle in ({"frames.count": 4}, {"frames.count": 8, "model.patch_mixing": 0}):
        assert settings_of_file({**old, **idle}).model.patch_mixing_step == 0  # the same there


def test_preset_paper_is_what_its_authors_state():
    model, lora = load_settings(preset="paper").model, load_settings(preset="paper").lora
    stated = {
        "connector": "mqt",
        "mqt": True,
        "fusion": "early",
        "qformer_text": "context",
        "llm_text": "question",
        "temporal_tokens": "queries",
        "temporal_gate": "none",
        "temporal_position": "absolute",
        "routing": "both",
        "routing_form": "hadamard",
        "patch_mixing": 0,
        "pool": "mean",
        "queries": None,
    }
    assert {name: getattr(model, name) for name in stated} == stated
    assert (lora.rank, lora.targets) == (8, ("query", "value"))
