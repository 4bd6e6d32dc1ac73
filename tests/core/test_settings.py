"""Presets, files and --set laid over one another; each wrong one named in one line."""

from __future__ import annotations

import dataclasses

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.settings import (
    BASELINES,
    PRESETS,
    RunSettings,
    flatten,
    load_settings,
    setting_fields,
    settings_from_dict,
    settings_to_dict,
)


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
