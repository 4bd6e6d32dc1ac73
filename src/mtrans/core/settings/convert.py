"""Settings <-> dictionaries of JSON types, with dotted or nested keys and every type checked."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.settings.fields import FrameSettings, RunSettings


def settings_to_dict(settings: RunSettings) -> dict[str, Any]:
    """Returns the settings as nested dictionaries of JSON types."""
    return typing.cast(dict[str, Any], _plain(dataclasses.asdict(settings)))


def settings_from_dict(data: Mapping[str, Any]) -> RunSettings:
    """Inverse of :func:`settings_to_dict`; also takes dotted keys; missing keys take defaults.

    Raises:
        SettingsError: Unknown key, wrong type, or contradiction.
    """
    return typing.cast(RunSettings, _build(RunSettings, _nest(flatten(data)), ""))


BEFORE: dict[str, Any] = {"model.position_order": 0.0, "model.patch_mixing_step": 1}
"""What settings that came later meant in files that were written before them."""


def settings_of_file(data: Mapping[str, Any]) -> RunSettings:
    """As :func:`settings_from_dict`, for whole settings that an older version may have written.

    There a missing key is one that did not exist yet, and means what was done then, not today's
    default; unless it has no effect beside the others, so that such runs stay the same.

    Raises:
        SettingsError: Unknown key, wrong type, or contradiction.
    """
    flat = flatten(data)
    usual = {
        "model.vision": True,
        "model.connector": "mqt",
        "model.mqt": True,
        "model.temporal_position": "relative",
    }
    frames = flat.get("frames.count", FrameSettings.count)
    reads_time = all(flat.get(key, value) == value for key, value in usual.items())
    effective = {
        "model.position_order": reads_time and frames != 1,  # one frame is before no other
        "model.patch_mixing_step": flat.get("model.patch_mixing", 0) and frames >= 8,
    }
    missing = {key: value for key, value in BEFORE.items() if key not in flat and effective[key]}
    return settings_from_dict({**missing, **flat})


def setting_fields(cls: type = RunSettings, prefix: str = "") -> dict[str, type]:
    """Returns every dotted setting name with its type, for help texts and error messages."""
    hints = typing.get_type_hints(cls)
    names: dict[str, type] = {}
    for f in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[f.name]):
            names.update(setting_fields(hints[f.name], f"{prefix}{f.name}."))
        else:
            names[prefix + f.name] = hints[f.name]
    return names


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested dictionaries as one with dotted keys; keys that are dotted stay so."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise SettingsError(f"unknown setting '{key}': '{part}' has no fields")
        place[last] = value
    return nested


def _build(cls: type, data: Mapping[str, Any], prefix: str) -> Any:
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in data.items():
        if key not in hints:
            below = next(iter(flatten(value)), "") if isinstance(value, Mapping) else ""
            name = f"{prefix}{key}.{below}" if below else prefix + key
            raise SettingsError(f"unknown setting '{name}'{_nearest(name)}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise SettingsError(f"setting '{prefix}{key}' is a group; set one of its fields")
            values[key] = _build(typing.cast(type, hints[key]), value, f"{prefix}{key}.")
        else:
            values[key] = coerce(value, hints[key], prefix + key)
    return cls(**values)


def _nearest(name: str) -> str:
    """Names the nearest setting by its path, or by its last word where a group's name is wrong."""
    known = list(setting_fields())
    last = {k.rpartition(".")[2]: k for k in reversed(known)}
    for wanted, among in ((name, {k: k for k in known}), (name.rpartition(".")[2], last)):
        near = difflib.get_close_matches(wanted, among, n=1, cutoff=0.6)
        if near:
            return f"; did you mean '{among[near[0]]}'?"
    return "; `mtrans settings` lists all of them"


def coerce(value: Any, hint: Any, name: str) -> Any:
    """Checks a value against a field's type; ints pass for floats, lists for tuples.

    Args:
        value: As YAML or a caller gives it.
        hint: The field's type.
        name: Of the setting, for the error.

    Returns:
        The value in that type.

    Raises:
        SettingsError: It is of another type, or not among the words that a switch knows.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _word(value, arguments, name)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        inner = next(a for a in arguments if a is not type(None))
        return coerce(value, inner, name)
    if origin is tuple:
        return _tuple(value, arguments, name)
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 1e-4 as text
        except ValueError:
            pass
    elif (hint is bool and isinstance(value, bool)) or (
        hint is int and isinstance(value, int) and not isinstance(value, bool)
    ):
        return value
    elif hint is str and isinstance(value, str | int | float):
        return str(value)
    raise SettingsError(f"{name}={value!r}: wanted {getattr(hint, '__name__', hint)}")


def _word(value: Any, words: tuple[Any, ...], name: str) -> Any:
    """Checks a value against the words that a switch knows."""
    if value in words:
        return value
    # YAML reads a bare off/on as a boolean; these words are values of some switches
    word = {False: "off", True: "on"}.get(value) if isinstance(value, bool) else None
    if word in words:
        return word
    hit = did_you_mean(str(value), [str(w) for w in words])
    raise SettingsError(f"{name}={value}: not one of {', '.join(map(str, words))}{hit}")


def _tuple(value: Any, arguments: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """Checks the elements of a list, a single value, or a text such as ``1,2,4``."""
    inner = arguments[0]
    if isinstance(value, str):  # YAML reads 1,2,4 as text; [1, 2, 4] it reads as numbers
        value = [
            _number(part.strip()) if inner is int else part.strip() for part in value.split(",")
        ]
    if not isinstance(value, list | tuple):
        value = [value]
    if arguments[-1] is not Ellipsis and len(value) != len(arguments):
        raise SettingsError(f"{name}={value}: wanted {len(arguments)} values")
    return tuple(coerce(v, inner, name) for v in value)


def _number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text  # not a number: left to the check of its type, which names the setting


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
