"""From a preset, a YAML file and ``--set`` to the settings of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.settings.convert import flatten, settings_from_dict
from mtrans.core.settings.fields import RunSettings
from mtrans.core.settings.presets import BASELINES, PRESETS


def load_settings(
    *,
    preset: str = "mtrans",
    baseline: str | None = None,
    file: str | Path | None = None,
    overrides: Iterable[str] = (),
    values: Mapping[str, Any] | None = None,
) -> RunSettings:
    """Builds the settings of a run: preset, then baseline, then file, then values, then overrides.

    Args:
        preset: Name in :data:`PRESETS`; a `preset` in the file goes before it.
        baseline: Name in :data:`BASELINES`, laid over the preset.
        file: YAML with nested or dotted keys.
        overrides: ``"key=value"`` texts as given to ``--set``; the value is read as YAML, and
            ``1,2,4`` or ``query,value`` as a list.
        values: Dotted keys with values already of the right type.

    Returns:
        The checked settings.

    Raises:
        SettingsError: Unknown preset or key, wrong type, or contradiction.
    """
    layers: dict[str, Any] = {}
    if file is not None:
        layers.update(_read_file(Path(file)))
        preset = layers.pop("preset", preset)
    layers.update(values or {})
    layers.update(_read_override(text) for text in overrides)
    if preset not in PRESETS:
        raise SettingsError(f"unknown preset '{preset}'{did_you_mean(preset, PRESETS)}")
    if baseline is not None and baseline not in BASELINES:
        raise SettingsError(f"unknown baseline '{baseline}'{did_you_mean(baseline, BASELINES)}")
    merged = {**PRESETS[preset], **(BASELINES[baseline] if baseline else {}), **layers}
    return settings_from_dict({"preset": preset, **merged})


def _read_file(file: Path) -> dict[str, Any]:
    """Returns dotted keys and values of a YAML file."""
    import yaml

    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise SettingsError(f"settings file '{file}' can't be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"settings file '{file}' is not YAML: {_one_line(error)}") from error
    if not isinstance(loaded, dict):
        raise SettingsError(f"settings file '{file}' must hold key: value pairs")
    return flatten(loaded)


def _read_override(text: str) -> tuple[str, Any]:
    """Returns key and value of one ``--set``."""
    import yaml

    key, sign, value = text.partition("=")
    if not sign:
        raise SettingsError(f"--set {text}: wanted key=value, e.g. --set train.learning_rate=1e-3")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {text}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
