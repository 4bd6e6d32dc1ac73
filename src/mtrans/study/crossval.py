"""Cross-validation of small data: folds -> runs (`mtrans.study.run`) -> pooled test answers.

    manifest -> folds -> each fold's training clips -> train | val     (val: an inner part)
                                         test clips -> test            (opened once, at the end)

    out/
      crossval.json                 the protocol: data, folds, what is kept together, leaks
      folds/<fold>/train, val, test.jsonl
      runs/                         the study: <fold>/<contender>/[fraction-<f>/]..., one cache
      pooled/<row>/predictions.jsonl, scores.json    all folds and seeds, with slices
      results.json, table.md, table.csv, report.html

A fold is a data set of one study, so search, resumption and failures are the study's. What is
searched is chosen for each fold on its own validation part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mtrans.core.errors import SettingsError
from mtrans.core.files import file_hash, make_folder, write_text
from mtrans.core.records import Sample
from mtrans.data.folds import Fold, given_folds, hold_out, make_folds
from mtrans.data.leaks import Leak, find_leaks, heed
from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.measure.intervals import Cluster
from mtrans.study.floors import check_nuisance
from mtrans.study.grid import Outcome
from mtrans.study.jobs import CACHE
from mtrans.study.plan import FRACTION, StudyPlan
from mtrans.study.plan_file import plan_from_dict
from mtrans.study.run import execute

RUNS, FOLDS, RECORD = "runs", "folds", "crossval.json"

FIXED = {"train", "val", "test"}
"""Splits that are no folds."""


@dataclass(frozen=True)
class Protocol:
    """How data are divided, and what is held beside the result.

    Attributes:
        data: A manifest of all samples.
        folds: Stratified folds to make; None takes those that the samples' `split` names.
        by: What is never torn apart, and what intervals draw as a whole.
        val: Share of each fold's training clips set aside to choose on; 0 for none.
        seed: Of folds that are made, and of the validation parts.
        nuisance: What the shortcut floor sees beside the container's facts.
        repeats: Partitions to make, with seeds `seed`, `seed` + 1, ...; their folds are called
            ``repeat1-fold1``, and so on.
    """

    data: Path
    folds: int | None = None
    by: Cluster = "video"
    val: float = 0.15
    seed: int = 0
    nuisance: tuple[str, ...] = ()
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise SettingsError(f"repeats={self.repeats}: wanted 1 or more")
        if self.repeats > 1 and self.folds is None:
            raise SettingsError(
                f"repeats={self.repeats}: folds that come with the data are one partition; make"
                " folds (--folds 5) to repeat, or leave --repeats out"
            )


@dataclass(frozen=True)
class Rounds:
    """A protocol's folds, written down.

    Attributes:
        protocol: What they were made from.
        folds: The folds.
        leaks: What the folds share.
        plan: The runs.
        out: The folder.
    """

    protocol: Protocol
    folds: Sequence[Fold]
    leaks: Sequence[Leak]
    plan: StudyPlan
    out: Path

    @property
    def runs(self) -> Path:
        """The study's folder."""
        return self.out / RUNS


def divide(protocol: Protocol) -> list[Fold]:
    """Returns a protocol's folds.

    Raises:
        ManifestError: The manifest can't be read.
        SettingsError: The samples name no folds, or the wanted ones can't be made.
    """
    samples = read_manifest(protocol.data)
    check_nuisance(protocol.nuisance, samples)
    if protocol.folds is not None:
        return _partitions(samples, protocol.folds, protocol)
    names = {s.split for s in samples if s.split is not None}
    if not names or names & FIXED:
        found = f"only the splits {', '.join(sorted(names))}" if names else "no split"
        raise SettingsError(
            f"{protocol.data}: its samples name {found}, no folds; make some with --folds 5, or"
            " use `mtrans adapt` and `mtrans eval` on fixed splits"
        )
    return given_folds(samples)


def _partitions(samples: list[Sample], count: int, protocol: Protocol) -> list[Fold]:
    """Makes folds, several times over where they are repeated."""
    made = []
    for repeat in range(1, protocol.repeats + 1):
        folds = make_folds(samples, count, unit=protocol.by, seed=protocol.seed + repeat - 1)
        prefix = f"repeat{repeat}-" if protocol.repeats > 1 else ""
        made += [replace(fold, name=prefix + fold.name, repeat=repeat) for fold in folds]
    return made


def prepare(
    protocol: Protocol,
    budget: Mapping[str, Any],
    out: Path,
    *,
    strict: bool = False,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> Rounds:
    """Makes and writes the folds, and holds them against each other.

    Args:
        protocol: How to divide.
        budget: A study's plan without its data: contenders (the first is compared with), seeds,
            steps, ...; `fraction` in its `vary` makes low-data curves.
        out: Folder to write to.
        strict: Make a leak an error.
        say: Prints a warning.
        progress: Called with (clips read, clips in all) while folds are compared.

    Raises:
        SettingsError: A name or number is wrong, or the folds can't be made.
        ManifestError: The manifest can't be read.
        LeakError: Folds share something, and `strict`.
    """
    other = set(budget.get("vary") or {}) - {FRACTION}
    if other:
        raise SettingsError(f"vary.{min(other)}: a cross-validation varies the fraction only")
    folds = divide(protocol)
    folders = [out / FOLDS / fold.name for fold in folds]
    splits = ["train", "test", *(["val"] if protocol.val else [])]
    sets = [
        {"name": fold.name, **{s: str((folder / f"{s}.jsonl").resolve()) for s in splits}}
        for fold, folder in zip(folds, folders, strict=True)
    ]
    plan = plan_from_dict({"data": sets, **budget})
    leaks = _leaks(folds, out / RUNS / CACHE / "looks.json", progress)
    heed(leaks, strict=strict, say=say)
    for fold, folder in zip(folds, folders, strict=True):
        make_folder(folder)
        for split, samples in _inner(fold, protocol).items():
            write_manifest(folder / f"{split}.jsonl", samples)
    rounds = Rounds(protocol, folds, leaks, plan, out)
    write_text(out / RECORD, json.dumps(describe(rounds), indent=1, ensure_ascii=False) + "\n")
    return rounds


def _leaks(
    folds: Sequence[Fold], memory: Path, progress: Callable[[int, int], None] | None
) -> list[Leak]:
    """Holds the folds of each partition against each other; clips are read once."""
    repeats = dict.fromkeys(fold.repeat for fold in folds)
    return [
        leak
        for repeat in repeats
        for leak in find_leaks(
            {fold.name: fold.test for fold in folds if fold.repeat == repeat},
            memory=memory,
            progress=progress,
        )
    ]


def run(
    rounds: Rounds, *, workers: int = 1, say: Callable[[str], None] | None = None
) -> list[Outcome]:
    """Does the runs that are not done yet; see :func:`mtrans.study.run.run_study`."""
    return execute(rounds.plan, rounds.runs, workers=workers, say=say)


def describe(rounds: Rounds) -> dict[str, Any]:
    """Returns the protocol as ``crossval.json`` keeps it."""
    data = rounds.protocol.data
    return {
        "protocol": {**asdict(rounds.protocol), "data": str(data)},
        "data_sha256": file_hash(data),
        "folds": [
            {
                "name": fold.name,
                "repeat": fold.repeat,
                "train_and_val": len(fold.train),
                "test": len(fold.test),
            }
            for fold in rounds.folds
        ],
        "leaks": [asdict(leak) for leak in rounds.leaks],
    }


def _inner(fold: Fold, protocol: Protocol) -> dict[str, list[Sample]]:
    """Divides a fold's training samples; its test samples stay away from every choice."""
    if not protocol.val:
        return {"train": fold.train, "test": fold.test}
    seed = protocol.seed + fold.repeat - 1
    try:
        placed = hold_out(fold.train, {"val": protocol.val}, unit=protocol.by, seed=seed)
    except SettingsError as error:
        raise SettingsError(f"{fold.name}: no validation part (--val): {error}") from error
    inner = {
        wanted: [
            given for given, new in zip(fold.train, placed, strict=True) if new.split == wanted
        ]
        for wanted in ("train", "val")
    }
    return {**inner, "test": fold.test}
