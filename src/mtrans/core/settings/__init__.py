"""Every setting of a run. Needs no torch.

A run is described by one :class:`RunSettings`. `load_settings` starts from a preset, lays a YAML
file over it and ``key=value`` pairs over that. An unknown key or a contradiction fails at once.

    fields.py   the dataclasses: names, types, defaults, meaning
    presets.py  what a preset or a baseline changes
    ranges.py   what values the numbers may take
    convert.py  dictionaries <-> dataclasses, with every type checked
    load.py     preset, YAML file and --set, laid over one another
"""

from __future__ import annotations

from mtrans.core.settings.convert import (
    flatten,
    setting_fields,
    settings_from_dict,
    settings_of_file,
    settings_to_dict,
)
from mtrans.core.settings.fields import (
    CacheDtype,
    FrameSettings,
    LoraSettings,
    ModelSettings,
    PromptSettings,
    RunSettings,
    TextRoute,
    TrainSettings,
)
from mtrans.core.settings.load import load_settings
from mtrans.core.settings.presets import BASELINES, PRESETS

__all__ = [
    "BASELINES",
    "PRESETS",
    "CacheDtype",
    "FrameSettings",
    "LoraSettings",
    "ModelSettings",
    "PromptSettings",
    "RunSettings",
    "TextRoute",
    "TrainSettings",
    "flatten",
    "load_settings",
    "setting_fields",
    "settings_from_dict",
    "settings_of_file",
    "settings_to_dict",
]
