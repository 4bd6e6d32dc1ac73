"""A job: one adaptation and its evaluation, as a study wants it. Needs no torch to be imported."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mtrans.core.errors import CheckpointError, MTransError, SettingsError
from mtrans.core.records import Sample
from mtrans.core.settings import RunSettings, flatten, load_settings, settings_to_dict
from mtrans.data.manifest import read_manifest
from mtrans.data.subsets import order_units, take_fraction, units_of
from mtrans.train.circumstances import describe_data
from mtrans.train.opening import open_run
from mtrans.train.run_folder import RunFolder

CACHE = "cache"
"""Folder of the feature cache below a study's folder, shared by its runs."""


class StudyError(MTransError):
    """A study can't be made or read, or some of its runs failed."""


@dataclass(frozen=True)
class Job:
    """One adaptation and its evaluation.

    Attributes:
        name: Its run folder below the study's.
        train: Manifest.
        test: Manifest.
        val: Manifest; None where nothing is validated.
        seed: Seed of initialisation and order.
        preset: What the settings start from.
        baseline: Laid over the preset.
        values: Dotted settings, laid over both.
        overrides: ``key=value`` texts, laid over everything.
        clips: Training clips to take, stratified, the same ones for all jobs and contained in any
            larger number; None is all.
        fraction: The same as a share of the training clips.
        types: Question types to train and validate on; none means all. The test asks all.
        others: Name -> manifest of further test questions, answered into
            ``predictions_on-<name>.jsonl``.
    """

    name: str
    train: Path
    test: Path
    val: Path | None = None
    seed: int = 0
    preset: str = "mtrans"
    baseline: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    clips: int | None = None
    fraction: float | None = None
    types: tuple[str, ...] = ()
    others: Mapping[str, Path] = field(default_factory=dict)

    def settings(self, folder: Path) -> RunSettings:
        """Returns the run's settings in a study's folder.

        Precision `auto` is bf16 here wherever the processor is fast at it, CPUs included; of a run
        that was finished on another machine, what it was there. With `model.budget` the sizes are
        those that were chosen for it.

        Raises:
            SettingsError: An unknown or contradictory one.
        """
        made = self.plain_settings(cache_dir=str(folder.resolve() / CACHE))
        if made.model.budget is not None:
            from mtrans.models.budget import fit_budget

            made = fit_budget(made)
        if made.train.precision != "auto":
            return made
        run = RunFolder(folder / self.name)
        done = run.state() == "finished"
        precision = run.settings().train.precision if done else _precision(made.device)
        return replace(made, train=replace(made.train, precision=precision))

    def plain_settings(self, **more: Any) -> RunSettings:
        """Returns the settings before sizes and precision are chosen.

        Raises:
            SettingsError: An unknown or contradictory one.
        """
        return load_settings(
            preset=self.preset,
            baseline=self.baseline,
            values={**more, **self.values, "train.seed": self.seed},
            overrides=self.overrides,
        )

    def split(self, name: str) -> tuple[Sample, ...]:
        """Returns the samples of ``train``, ``val`` or ``test``.

        Raises:
            ManifestError: The manifest is missing or damaged.
        """
        return self._read(name)[0]

    def data(self, *names: str) -> dict[str, Any]:
        """Returns counts and hashes of splits, as a run folder keeps them."""
        return {name: self._read(name)[1] for name in names if getattr(self, name) is not None}

    def _read(self, name: str) -> tuple[tuple[Sample, ...], dict[str, Any]]:
        path: Path | None = getattr(self, name)
        if path is None:
            return (), {}
        changed = path.stat().st_mtime_ns if path.exists() else 0
        part = (self.clips, self.fraction) if name == "train" else (None, None)
        return _read(path, *part, () if name == "test" else self.types, changed)

    def elsewhere(self, name: str) -> tuple[Sample, ...]:
        """Returns the test samples of one of `others`.

        Raises:
            ManifestError: The manifest is missing or damaged.
        """
        return self._elsewhere(name)[0]

    def _elsewhere(self, name: str) -> tuple[tuple[Sample, ...], dict[str, Any]]:
        path = self.others[name]
        return _read(path, None, None, (), path.stat().st_mtime_ns if path.exists() else 0)

    def asked(self) -> list[tuple[str | None, dict[str, Any]]]:
        """Returns count and hash of the test questions, and of all others, by split."""
        others = [(elsewhere(name), self._elsewhere(name)[1]) for name in self.others]
        return [(None, self.data("test")["test"]), *others]

    def answered(self, run: RunFolder) -> bool:
        """Says whether a finished run has answered its test questions, and all others."""
        finished = run.info().get("finished") or ""
        return all(
            found.get("finished")
            and (found.get("started") or "") >= finished
            and found.get("data") == data
            for split, data in self.asked()
            for found in [answers(run, split)]
        )


@functools.cache
def _precision(device: str) -> Literal["bf16", "fp32"]:
    from mtrans.core.runtime import has_fast_bf16, pick_device

    return "bf16" if has_fast_bf16(pick_device(device)) else "fp32"


@functools.lru_cache(maxsize=32)
def _read(
    path: Path,
    clips: int | None,
    fraction: float | None,
    types: tuple[str, ...],
    changed: int,
) -> tuple[tuple[Sample, ...], dict[str, Any]]:
    """Reads a manifest once for all jobs, until it changes."""
    samples = read_manifest(path)
    if types:
        if lacking := set(types) - {s.type for s in samples}:
            raise SettingsError(f"'{path}' has no question of type '{min(lacking)}'")
        samples = [s for s in samples if s.type in types]
    if clips is not None:
        names = units_of(samples, "video")
        order = order_units(samples, names, seed=0)
        if not 1 <= clips <= len(order):
            raise SettingsError(f"clips={clips}: '{path}' has {len(order)} of them")
        kept = set(order[:clips])
        samples = [s for s, name in zip(samples, names, strict=True) if name in kept]
    if fraction is not None:
        samples = take_fraction(samples, fraction)
    return tuple(samples), describe_data(samples)


def elsewhere(name: str) -> str:
    """Returns what the predictions on another data set's test questions are called."""
    return f"on-{name}"


def measurable(run: RunFolder, split: str | None = None) -> bool:
    """Says whether a run is finished and the questions of a split are all answered."""
    return run.state() == "finished" and bool(answers(run, split).get("finished"))


def is_done(job: Job, folder: Path) -> bool:
    """Says whether a job's run and its test predictions are complete, and are those of this job.

    Raises:
        CheckpointError: Its folder holds a finished run with other settings or data.
        ManifestError: A manifest is missing or damaged.
    """
    run = RunFolder(folder / job.name)
    if run.state() != "finished":
        return False
    open_run(run.path, job.settings(folder), job.data("train", "val"))
    for split, data in job.asked():
        before = answers(run, split).get("data")
        if before and before.get("hash") != data["hash"]:
            raise CheckpointError(
                f"'{run.path}' has answered other {split or 'test'} questions"
                f" ({before.get('samples', 0)} there, {data['samples']} here, contents differ);"
                " choose another --out, or --fresh to move that run away"
            )
    return job.answered(run)


def differences(job: Job, run: RunFolder) -> str:
    """Says in what a run's settings are not those of a job, as far as they decide the result.

    Names change their meaning when defaults do; an old run stays what it was.
    """
    wanted, there = (flatten(settings_to_dict(s)) for s in (job.plain_settings(), run.settings()))
    sized = {"lora.rank", "model.width"} if wanted.get("model.budget") else set()
    parts = ("frames.", "prompt.", "model.", "lora.", "train.learning_rate", "train.max_steps")
    keys = [k for k in wanted if k.startswith((*parts, "train.batch_size", "train.schedule"))]
    differ = [
        f"{k}={there[k]} there, {wanted[k]} today"
        for k in keys
        if k not in sized and there.get(k) != wanted[k]
    ]
    return "; ".join(differ)


def answers(run: RunFolder, split: str | None = None) -> dict[str, Any]:
    """Returns which model on which data made a run's predictions; empty without predictions."""
    file = run.predictions(split)
    try:
        found = json.loads(file.with_suffix(".meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or not file.exists():
        return {}
    lines = file.read_bytes().count(b"\n")  # a file that was cut short is asked for the rest
    wanted = (found.get("data") or {}).get("samples") or 0
    return found if lines >= wanted or not found.get("finished") else {**found, "finished": None}
