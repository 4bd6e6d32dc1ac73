"""`mtrans.crossval`: the small-data protocol from Python, and what `mtrans crossval` calls.

    >>> import mtrans
    >>> found = mtrans.crossval("all.jsonl", "runs/cv", folds=5, by="group", seeds=[0, 1, 2])
    >>> print(found.table)

Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtrans.app import output
from mtrans.app.data import as_samples
from mtrans.core.errors import MTransError, SettingsError
from mtrans.core.records import Sample
from mtrans.core.settings import flatten

if TYPE_CHECKING:
    from mtrans.measure.intervals import Cluster
    from mtrans.study.results import Results


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation found.

    Attributes:
        out: Its folder; :mod:`mtrans.study.crossval` says what is in it.
        results: Rows with scores, intervals and paired differences; floors last.
        failure: What went wrong in some of the runs; None where all are done.
    """

    out: Path
    results: Results
    failure: MTransError | None = None

    @property
    def table(self) -> str:
        """The tables as Markdown."""
        return (self.out / "table.md").read_text(encoding="utf-8")

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.out / "report.html"


def crossval(
    data: str | Path | Sequence[Sample],
    out: str | Path,
    *,
    folds: int | None = None,
    by: Cluster = "video",
    repeats: int = 1,
    val: float = 0.15,
    fold_seed: int = 0,
    contenders: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    fraction: Sequence[float] = (),
    nuisance: Sequence[str] = (),
    backbone: str | Path | None = None,
    preset: str = "mtrans",
    frames: int | None = None,
    steps: int | None = None,
    batch: int | None = None,
    search: Mapping[str, Sequence[Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str | None = None,
    workers: int = 1,
    strict: bool = False,
    say: Callable[[str], None] | None = None,
) -> CrossValidation:
    """Cross-validates: every fold, seed and contender, with floors, intervals and a report.

    Stopped, the same call goes on where it was.

    Args:
        data: A manifest of all samples, or samples.
        out: Folder to write to.
        folds: Stratified folds to make; None takes those that the samples name.
        by: What is never torn apart, and what intervals draw: video, group or speaker.
        repeats: Partitions to make, with seeds `fold_seed`, `fold_seed` + 1, ...
        val: Share of each fold's training samples to choose on; 0 for none.
        fold_seed: Of folds and validation parts.
        contenders: Beside ours and text: single, mean, concat, paper.
        seeds: Of the runs.
        fraction: Shares of the training samples, for a curve.
        nuisance: What the shortcut floor sees too: speaker, group, type or a fact.
        backbone: ``tiny``, a folder, or a published checkpoint; None is ``tiny``.
        preset: Ours: mtrans or paper.
        frames: Frames of a clip; None is the preset's.
        steps: Steps of every run; None is the preset's epochs.
        batch: Questions a step; None is the preset's.
        search: Setting -> candidates, chosen on validation.
        settings: Settings for all runs: groups as dictionaries or dotted names, as ``load`` takes.
        device: Where to compute; None is ``auto``.
        workers: Runs side by side, each on its share of the cores.
        strict: Make a leak between folds an error.
        say: Prints a line of progress or a warning; None prints on standard error.

    Returns:
        The results. Runs that failed are named in `failure`, and are not in the table.

    Raises:
        MTransError: Data or settings are not usable, or nothing could be measured.

    Example:
        >>> found = mtrans.crossval("all.jsonl", "runs/cv", folds=5, repeats=3)
        >>> found.results.rows[0].overall.value
        0.71
    """
    from mtrans.data.manifest import write_manifest
    from mtrans.report.study import build_study
    from mtrans.study.crossval import Protocol, prepare, run
    from mtrans.study.crossval_results import publish
    from mtrans.study.grid import failures

    if not 0 <= val < 1:
        raise SettingsError(f"val={val} (--val): wanted a share from 0 to below 1")
    place = Path(out)
    if isinstance(data, str | Path):
        manifest = Path(data).resolve()
    else:
        manifest = place.resolve() / "samples.jsonl"
        write_manifest(manifest, as_samples(data))
    protocol = Protocol(manifest, folds, by, val, fold_seed, tuple(nuisance), repeats)
    common = {"backbone": backbone, "device": device, **flatten(settings or {})}
    budget: dict[str, Any] = {
        "contenders": list(dict.fromkeys([preset, "text", *contenders])),
        "seeds": list(seeds),
        "set": {
            k: str(v) if isinstance(v, Path) else v for k, v in common.items() if v is not None
        },
        "search": {key: list(values) for key, values in (search or {}).items()},
        "vary": {"fraction": sorted(fraction)} if fraction else {},
    }
    numbers = {"frames": frames, "steps": steps, "batch": batch}
    budget |= {key: n for key, n in numbers.items() if n is not None}
    with output.progress("comparing folds") as step:
        rounds = prepare(
            protocol, budget, place, strict=strict, say=say or output.say, progress=step
        )
    outcomes = run(rounds, workers=workers, say=say)
    found = publish(rounds)
    build_study(found.results, place / "report.html")
    return CrossValidation(place, found.results, failures(outcomes, rounds.runs))
