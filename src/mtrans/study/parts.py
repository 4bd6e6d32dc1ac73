"""What a study is made of: data sets and contenders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.settings import BASELINES, PRESETS

MOTION: dict[str, tuple[str, ...]] = {
    "physics": ("moving_direction", "moving_count", "moving_attribute", "object_existence"),
    "talk": ("sarcasm",),
}
"""World -> question types that neither words nor the middle frame can answer."""

OUTSIDE = "outside"
"""Folder of other systems' answers below a study's folder: ``outside/<data>/<system>/``."""

RESERVED = ("data", "cache", "tables", OUTSIDE)
"""Folders of a study that are no data set's."""

_NAME = re.compile(r"[\w.+-]+")


@dataclass(frozen=True)
class Data:
    """Clips to learn and to be measured on: a synthetic world, or three manifests."""

    name: str
    """Folder of its runs; without one the world's."""

    train: int | str
    """Training clips of the world, or a manifest."""

    test: int | str
    """Test clips of the world, or a manifest."""

    val: int | str | None = None
    """Validation clips of the world, or a manifest; needed to search."""

    world: str | None = None
    """A synthetic world; none means manifests."""

    seed: int = 0
    """Seed of the world's clips."""

    clips_of: str | None = None
    """Another data set of the plan whose clips these are, with the same world and counts; for sets
    that differ in their question types alone."""

    motion: tuple[str, ...] = ()
    """Question types measured together as `motion`; without any the world's own."""

    types: tuple[str, ...] = ()
    """Question types to train and to validate on; without any all. The test asks all."""

    seconds: float | None = None
    """Length of the world's clips; None is the world's own."""

    size: int = 64
    """Height and width of the world's clips in pixels."""

    frames: int | None = None
    """Frames of a clip, in place of the plan's."""

    steps: int | None = None
    """Optimizer steps, in place of the plan's."""

    batch: int | None = None
    """Questions a step, in place of the plan's."""

    set: Mapping[str, Any] = field(default_factory=dict)
    """Settings of all its contenders that do not fix them, over the plan's common ones."""

    search: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Candidates of all its contenders, in place of the plan's for the same setting."""

    def __post_init__(self) -> None:
        folder_name(self.name, "data.name")
        if self.name in RESERVED:
            raise SettingsError(f"data.name={self.name} is a folder of the study itself; rename it")
        wanted = int if self.world else str
        for split, given in (("train", self.train), ("val", self.val), ("test", self.test)):
            if given is None and split == "val":
                continue
            if not isinstance(given, wanted) or isinstance(given, bool):
                need = "a number of clips" if self.world else "a manifest (or name a world)"
                raise SettingsError(f"data.{split}={given!r}: wanted {need}")
            if isinstance(given, int) and given < 1:
                raise SettingsError(f"data.{split}={given}: at least one clip is needed")

    @property
    def motion_types(self) -> tuple[str, ...]:
        """Question types measured together as motion."""
        return self.motion or MOTION.get(self.world or "", ())

    def manifest(self, split: str, folder: Path) -> Path | None:
        """Returns a split's manifest; those of a world lie in the study's folder."""
        given = getattr(self, split)
        if given is None:
            return None
        if self.world is None:
            return Path(given)
        return folder / "data" / (self.clips_of or self.name) / f"{split}.jsonl"

    @property
    def scene(self) -> tuple[Any, ...]:
        """Returns what tells its clips from those of another world, or of one drawn otherwise."""
        return (self.world, self.size, self.seconds) if self.world else (self.name,)


@dataclass(frozen=True)
class Contender:
    """What is compared: a preset, a baseline laid over it, own settings."""

    preset: str | None = None
    """None is the plan's."""

    baseline: str | None = None
    """One of `BASELINES`."""

    set: Mapping[str, Any] = field(default_factory=dict)
    """Own dotted settings."""

    search: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Own candidates, in place of the plan's for the same setting."""

    about: str = ""
    """What it is, in a few words."""

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("preset", self.preset, PRESETS),
            ("baseline", self.baseline, BASELINES),
        ):
            if name is not None and name not in known:
                raise SettingsError(f"unknown {kind} '{name}'{did_you_mean(name, known)}")

    @property
    def fixed(self) -> frozenset[str]:
        """Settings that make it what it is; the plan's common ones leave them alone."""
        return frozenset((*BASELINES.get(self.baseline or "", {}), *self.set))


CONTENDERS: dict[str, Contender] = {
    **{name: Contender(preset=name) for name in PRESETS},
    **{name: Contender(baseline=name) for name in BASELINES},  # every connector is one
}
"""Contenders that a plan takes by name."""


def folder_name(name: str, what: str) -> None:
    """Checks that a name can be a folder's.

    Raises:
        SettingsError: It can't.
    """
    if not _NAME.fullmatch(name) or name.strip(".") == "":
        raise SettingsError(
            f"{what} '{name}' names a folder; use letters, digits, and . _ + - only"
        )
