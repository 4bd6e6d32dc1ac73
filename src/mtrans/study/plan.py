"""The description of a study: data, contenders, what is searched, what is varied, seeds, budget.

    variants = data x contenders x the grid of `vary`
    runs     = variants x candidates of `search` (first seed), then the chosen one x other seeds

On one data set every contender gets the same clips, frames, steps and search.
:mod:`mtrans.study.plan_file` reads and writes a plan as YAML.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.settings import flatten, load_settings, settings_to_dict
from mtrans.study.jobs import Job
from mtrans.study.parts import Contender, Data, folder_name

CLIPS = "clips"
"""A key of `vary` beside the settings: how many of the training clips are used."""

FRACTION = "fraction"
"""The same as a share of them."""

FLOORS = ("majority", "shortcut", "svm-text")
"""What a plan's `floors` may name; :mod:`mtrans.study.floor_rows` answers with them."""

VALIDATIONS = 5
"""Validations of a run whose number of steps is given."""

_SHORT = {"train.learning_rate": "rate"}


@dataclass(frozen=True)
class Variant:
    """A row of the result: one contender at one point of the grid, on one data set."""

    data: Data
    contender: str
    point: Mapping[str, Any]
    """What is varied, with its value here."""

    candidates: tuple[Mapping[str, Any], ...]
    """What is searched; a single one is no search."""

    @property
    def label(self) -> str:
        """Its name in tables and plots."""
        return label_of(self.contender, self.point)


@dataclass(frozen=True)
class StudyPlan:
    """A study."""

    data: tuple[Data, ...]
    """One or several data sets; each gets a table of its own."""

    contenders: Mapping[str, Contender]
    """By name; differences are against the first."""

    name: str | None = None
    """What its tables are called. Plans of several names share one folder and so its clips, cache
    and runs: the tables of a named one lie in ``tables/<name>/``."""

    preset: str = "mtrans"
    """Preset of the contenders that name none."""

    frames: int | None = None
    """Frames of a clip; None is the preset's. A baseline that fixes them keeps its own."""

    steps: int | None = None
    """Optimizer steps of every run; None is the preset's epochs."""

    batch: int | None = None
    """Questions a step; None is the preset's."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of initialisation and order; the clips stay the same."""

    set: Mapping[str, Any] = field(default_factory=dict)
    """Common settings, for every contender that does not fix them."""

    vary: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Setting -> values; the full grid is run. `clips` varies the number of training clips,
    `fraction` their share; smaller parts are contained in larger ones."""

    search: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Setting -> candidates, chosen on validation with the first seed, for every row alike."""

    floors: tuple[str, ...] = ()
    """Rows that see no frame and train no model: ``majority``, ``shortcut``, ``svm-text``."""

    transfer: bool = False
    """Every run also answers the test questions of all other data sets."""

    overrides: tuple[str, ...] = ()
    """``key=value`` texts laid over everything, baselines included."""

    def __post_init__(self) -> None:
        if not self.data or not self.contenders or not self.seeds:
            raise SettingsError("a study needs data, at least one contender and one seed")
        if len(set(self.seeds)) < len(self.seeds):
            raise SettingsError(f"seeds={self.seeds}: one occurs twice")
        self._check_sets()
        self._check_parts()
        for name in self.contenders:
            folder_name(name, "contender")
        if self.name is not None:
            folder_name(self.name, "name")
        for floor in self.floors:
            if floor not in FLOORS:
                raise SettingsError(f"unknown floor '{floor}'{did_you_mean(floor, FLOORS)}")
            if floor in self.contenders:
                raise SettingsError(f"contender '{floor}' is called as a floor is; rename it")
        Contender(preset=self.preset)
        searched_keys = {*self.search, *(key for data in self.data for key in data.search)}
        both = sorted(set(self.vary) & searched_keys)
        if both:
            raise SettingsError(f"{both[0]} is both varied and searched; choose one")
        for data in self.data:
            searched = any(len(v.candidates) > 1 for v in self.variants() if v.data == data)
            if searched and data.val is None:
                raise SettingsError(f"data.val is missing: '{data.name}' needs it for the search")

    def _check_sets(self) -> None:
        names = [data.name for data in self.data]
        if len(set(names)) < len(names):
            raise SettingsError(f"data: two sets are called {max(names, key=names.count)}")
        by_name = {data.name: data for data in self.data}
        for data in self.data:
            if data.clips_of is None:
                continue
            other = by_name.get(data.clips_of)
            same = ("world", "seed", "size", "seconds", "train", "val", "test")
            if other is None or other.clips_of or data.world is None:
                raise SettingsError(
                    f"data.clips_of={data.clips_of}: wanted another world's set of this plan, with"
                    " clips of its own"
                )
            if differ := [key for key in same if getattr(data, key) != getattr(other, key)]:
                raise SettingsError(
                    f"data '{data.name}' takes the clips of '{other.name}', so its {differ[0]} must"
                    " be the same"
                )

    def _check_parts(self) -> None:
        for fraction in self.vary.get(FRACTION, ()):
            if not 0 < fraction <= 1:
                raise SettingsError(
                    f"vary.fraction={fraction}: wanted a number above 0 and at most 1"
                )
        for clips, data in itertools.product(self.vary.get(CLIPS, ()), self.data):
            if clips < 1:
                raise SettingsError(f"vary.clips={clips}: at least one clip is needed")
            if isinstance(data.train, int) and clips > data.train:
                raise SettingsError(
                    f"vary.clips={clips}: '{data.name}' has {data.train} training clips; wanted at"
                    " most these, or a higher data.train"
                )

    def budget(self, data: Data) -> tuple[int | None, int | None, int | None]:
        """Returns frames, steps and questions a step on a data set; None is the preset's."""
        own = (data.frames, data.steps, data.batch)
        common = (self.frames, self.steps, self.batch)
        frames, steps, batch = (a if a is not None else b for a, b in zip(own, common, strict=True))
        return frames, steps, batch

    def variants(self) -> list[Variant]:
        """Returns all rows, by data set, then by contender, then by point of the grid."""
        return [
            Variant(data, name, point, self._candidates(data, contender))
            for data in self.data
            for name, contender in self.contenders.items()
            for point in _grid({k: v for k, v in self.vary.items() if k not in contender.fixed})
        ]

    def _candidates(self, data: Data, contender: Contender) -> tuple[Mapping[str, Any], ...]:
        here = {**self.search, **data.search}
        common = {k: v for k, v in here.items() if k not in contender.fixed}
        found = {**common, **contender.search}
        return tuple(_grid({k: _ascending(v) for k, v in found.items()}))

    def reference(self, variant: Variant) -> Variant | None:
        """Returns what a row is compared with: the first contender at the same point.

        The first contender itself is compared with its own first point, which has no reference.
        """
        rows = [v for v in self.variants() if v.data == variant.data]
        mine = [v for v in rows if v.contender == rows[0].contender]
        if variant.contender == rows[0].contender:
            return mine[0] if variant != mine[0] else None
        # a setting that one of the two fixes is no axis of it
        same = [
            v
            for v in mine
            if all(variant.point[k] == x for k, x in v.point.items() if k in variant.point)
        ]
        return (same or mine)[0]

    def job(self, variant: Variant, chosen: Mapping[str, Any], seed: int, folder: Path) -> Job:
        """Returns the run of a row with one candidate and one seed."""
        contender = self.contenders[variant.contender]
        own = self._values(variant.data, contender)
        values = {**own, **variant.point, **chosen}
        clips, fraction = values.pop(CLIPS, None), values.pop(FRACTION, None)
        if steps := values.get("train.max_steps"):
            values.setdefault("train.evaluate_every", max(1, steps // VALIDATIONS))
        run = "-".join([*(f"{_SHORT.get(k, k)}-{text(v)}" for k, v in chosen.items()), "seed"])
        moved = {
            k: v
            for k, v in variant.point.items()
            if self.name is None or not self._stands(variant, own, k, v)
        }
        point = "_".join(f"{_SHORT.get(k, k)}-{text(v)}" for k, v in moved.items())
        place = [variant.data.name, variant.contender, *([point] if point else []), f"{run}-{seed}"]
        train, val, test = (
            variant.data.manifest(split, folder) for split in ("train", "val", "test")
        )
        assert train is not None
        assert test is not None
        return Job(
            name="/".join(place),
            train=train,
            val=val,
            test=test,
            seed=seed,
            preset=contender.preset or self.preset,
            baseline=contender.baseline,
            values=values,
            overrides=self.overrides,
            clips=clips,
            fraction=fraction,
            types=variant.data.types,
            others=self._others(variant.data, folder),
        )

    def _values(self, data: Data, contender: Contender) -> dict[str, Any]:
        """Returns a contender's settings before anything is varied or searched."""
        frames, steps, batch = self.budget(data)
        given = {"frames.count": frames, "train.batch_size": batch, "train.max_steps": steps}
        common = {k: v for k, v in given.items() if v is not None} | {**self.set, **data.set}
        return {k: v for k, v in common.items() if k not in contender.fixed} | {**contender.set}

    def _stands(self, variant: Variant, own: Mapping[str, Any], key: str, value: Any) -> bool:
        """Whether a varied value is the contender's own, so that its plain run is this one.

        In plans that share their folder with others; elsewhere each point has its own folder.
        """
        if key == CLIPS:
            return bool(value == variant.data.train)
        if key == FRACTION:
            return bool(value == 1)
        contender = self.contenders[variant.contender]
        made = load_settings(
            preset=contender.preset or self.preset,
            baseline=contender.baseline,
            values={k: v for k, v in own.items() if k not in (CLIPS, FRACTION)},
            overrides=self.overrides,
        )
        there: Any = flatten(settings_to_dict(made)).get(key)
        if isinstance(there, list | tuple):
            return tuple(there) == tuple(value)
        return bool(there == value)

    def _others(self, data: Data, folder: Path) -> dict[str, Path]:
        """Returns the test manifests of the other data sets, where they are answered too."""
        if not self.transfer:
            return {}
        mine = data.manifest("test", folder)
        places = {d.name: d.manifest("test", folder) for d in self.data if not d.clips_of}
        return {name: place for name, place in places.items() if place not in (None, mine)}


def label_of(contender: str, point: Mapping[str, Any]) -> str:
    """Returns what a row is called: its contender, with what is varied."""
    return ", ".join([contender, *(f"{k}={text(v)}" for k, v in point.items())])


def text(value: Any) -> str:
    """Returns a value as part of a folder's name and of a table."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "+".join(text(v) for v in value)
    shown = str(value)
    if isinstance(value, float):
        shown = f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return re.sub(r"[^\w.+-]", "_", shown)


def _grid(axes: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _ascending(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sorts numbers: of candidates that are equally good the lowest is taken."""
    values = tuple(dict.fromkeys(values))
    return tuple(sorted(values)) if all(isinstance(v, int | float) for v in values) else values
