"""Which model a command means: the options that say it, and how it is opened."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtrans.infer.predictor import Predictor

Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", show_default="auto")
]

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="One setting of a backbone that is not adapted, key=value; a run has its own but for"
        " cache_dtype and cache_dir.",
    ),
]

Raw = Annotated[
    bool, typer.Option("--raw", help="Leave probabilities as the model gives them, uncalibrated.")
]

FREE = ("cache_dtype", "cache_dir")
"""Settings of a run that are free after training: where and how finely features are kept."""


def open_predictor(
    model: str, device: str | None, overrides: list[str] | None, *, calibrated: bool = True
) -> Predictor:
    """Loads whatever can answer; a backbone that is not adapted with the settings given.

    Raises:
        SettingsError: Settings for a run: it answers under those it was trained with.
        CheckpointError: There is no such model.
    """
    from mtrans.core.errors import SettingsError
    from mtrans.core.settings import load_settings
    from mtrans.infer.predictor import find_adapter, load_predictor

    if not overrides:
        return load_predictor(model, device=device or "auto", calibrated=calibrated)
    settings = load_settings(overrides=overrides)
    if find_adapter(Path(model))[0] is None:
        return load_predictor(model, settings=settings, device=device or "auto")
    names = [text.partition("=")[0].strip() for text in overrides]
    fixed = [text for text, name in zip(overrides, names, strict=True) if name not in FREE]
    if fixed:
        raise SettingsError(
            f"--set {fixed[0]}: '{model}' is adapted and answers under the settings it was"
            f" trained with, but for {' and '.join(FREE)}; leave --set away, or adapt with that"
            " setting"
        )
    predictor = load_predictor(model, device=device or "auto", calibrated=calibrated)
    own = {name: getattr(settings, name) for name in names}
    predictor.settings = dataclasses.replace(predictor.settings, **own)
    return predictor
