"""What a perturbation is, and the table of all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mtrans.core.errors import SettingsError
from mtrans.core.registry import Registry

Kind = Literal["order", "moments", "pixels", "cut_in", "text", "sound"]
"""What a perturbation acts on, and with it the arguments of its function; a level always follows
the thing, then a random generator:

``order``    frames T (int)                  -> (content int64[T'], times int64[T'])
``moments``  times float64[T], low, high     -> times float64[T]
``pixels``   uint8[T, H, W, 3]               -> uint8[T, H, W, 3]
``cut_in``   uint8[T, H, W, 3], other's same -> uint8[T, H, W, 3]
``text``     Sample                          -> Sample
``sound``    float32[S]                      -> float32[S]
"""

SEVERITIES = (1, 2, 3, 4, 5)
"""From hardly to be noticed to hardly anything left."""


@dataclass(frozen=True)
class Perturbation:
    """A named perturbation.

    Attributes:
        name: Its name on the command line.
        kind: What it acts on.
        levels: Its strength at severities 1 to 5; one number where there are no degrees.
        unit: What the numbers mean.
        about: One line on what it does.
        act: The function; see :data:`Kind`.
    """

    name: str
    kind: Kind
    levels: tuple[float, ...]
    unit: str
    about: str
    act: Callable[..., Any]

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities it has: 1 to 5, or 5 alone where there are no degrees."""
        return SEVERITIES if len(self.levels) > 1 else SEVERITIES[-1:]

    def level(self, severity: int) -> float:
        """Returns its strength at a severity.

        Raises:
            SettingsError: No such severity.
        """
        if severity not in SEVERITIES:
            raise SettingsError(f"severity {severity} of '{self.name}': wanted 1 to 5")
        return self.levels[-1] if len(self.levels) == 1 else self.levels[severity - 1]


PERTURBATIONS: Registry[Perturbation] = Registry("perturbation")


def perturbation(
    kind: Kind, levels: tuple[float, ...], unit: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers the decorated function under its own name; its docstring's first line is `about`.

    Args:
        kind: What it acts on.
        levels: Five strengths, or one.
        unit: What they mean.
    """
    if len(levels) not in (1, len(SEVERITIES)):
        raise ValueError(f"{len(levels)} levels: wanted 1 or {len(SEVERITIES)}")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        about = (function.__doc__ or "").strip().splitlines()[0]
        PERTURBATIONS.add(name, Perturbation(name, kind, levels, unit, about, function))
        return function

    return decorate


def find(name: str) -> Perturbation:
    """Returns a perturbation by name.

    Raises:
        SettingsError: No such name.
    """
    return PERTURBATIONS.get(name)


def draws(seed: int, name: str, clip: str) -> np.random.Generator:
    """Returns the random numbers of one perturbation of one clip.

    Args:
        seed: Of the whole test.
        name: The perturbation's.
        clip: What tells the clip from others, the same on every machine.
    """
    digest = hashlib.sha256(f"{seed}\n{name}\n{clip}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def checked_names(names: tuple[str, ...] | list[str]) -> list[str]:
    """Returns names in the order of the table; empty means all that a model without ears notices.

    Raises:
        SettingsError: Unknown name, or one of sound: the model does not hear.
    """
    wanted = [find(name) for name in names]
    for one in wanted:
        if one.kind == "sound":
            raise SettingsError(
                f"perturbation '{one.name}' changes the sound, and the model does not hear; leave"
                " it away"
            )
    if not wanted:
        return [name for name in PERTURBATIONS if find(name).kind != "sound"]
    return [name for name in PERTURBATIONS if name in {one.name for one in wanted}]
