"""Splits of own data, where nobody published any: given, folds, or a hold-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, cast

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Kind, Option, Request, Scheme
from mtrans.data.folds import assign_folds, hold_out
from mtrans.data.subsets import Unit

OWN_SCHEMES: Mapping[str, Scheme] = {
    "given": Scheme("the split that the data name; samples that name none go to the option split"),
    "holdout": Scheme("parts set aside at random, stratified (options val, test, by; --seed)"),
    "folds": Scheme("stratified folds at random (options folds, by; --seed)", folds=True),
}

OWN_OPTIONS: Mapping[str, Option] = {
    "split": Option("given: the split of samples that name none", "train"),
    "val": Option("holdout: share of the samples set aside for validation; 0 for none", "0.15"),
    "test": Option("holdout: share of the samples set aside for testing", "0.15"),
    "folds": Option("folds: how many", "5"),
    "by": Option(
        "holdout, folds: what is never torn apart", "video", ("video", "group", "speaker")
    ),
}


class OwnAdapter(Adapter):
    """What all forms of own data have in common."""

    citation = "none: your own data"
    licence = "yours"
    size = "any"
    kinds: ClassVar[tuple[Kind, ...]] = ("choice", "open", "caption")
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "macro_f1",
        "exact_match",
        "rouge_l",
        "meteor",
    )
    schemes = OWN_SCHEMES


def split_own(samples: Sequence[Sample], request: Request) -> list[Sample]:
    """Fills in the samples' split as the request's scheme and options say.

    Raises:
        SettingsError: An option is not a number, or too much is asked for.
    """
    options = request.options
    unit = cast(Unit, options["by"])
    if request.scheme == "folds":
        return assign_folds(samples, round(number(request, "folds")), unit=unit, seed=request.seed)
    if request.scheme == "holdout":
        shares = {"test": number(request, "test"), "val": number(request, "val")}
        shares = {name: share for name, share in shares.items() if share}
        return hold_out(samples, shares, unit=unit, seed=request.seed)
    return [s if s.split else replace(s, split=options["split"]) for s in samples]


def number(request: Request, name: str) -> float:
    """Returns an option as a number.

    Raises:
        SettingsError: It is none.
    """
    text = request.options[name]
    try:
        return float(text or "")
    except ValueError:
        raise SettingsError(f"option {name}={text}: wanted a number") from None
