"""A plan -> runs -> results: draws the clips, searches, runs the other seeds, measures.

    study/
      study.yaml            the plan
      data/<name>/          clips of a synthetic world
      cache/                frozen features, shared by all runs
      <data>/<contender>/[<point>/]<candidate>-seed-<seed>/   run folders
      results.json, table.md, table.csv, report.html
      tables/<name>/        the same of a plan that has a name, with its study.yaml

First all rows with the first seed, then all with the second, and so on: a study that has to stop
early has the same seeds of all, as nearly as can be. A stopped study goes on where it was; a plan
that grew (more seeds, contenders, candidates) in the same folder runs only what is new.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.files import make_folder, write_text
from mtrans.study.collect import choose, collect
from mtrans.study.draw import draw
from mtrans.study.front import cost_csv
from mtrans.study.grid import Outcome, Watch, run_jobs
from mtrans.study.jobs import Job, StudyError, differences, is_done
from mtrans.study.plan import StudyPlan, Variant
from mtrans.study.plan_file import read_plan, write_plan
from mtrans.study.results import Results, write_results
from mtrans.study.tables import markdown, to_csv
from mtrans.study.transfer import outside_rows, transfer_csv, transfer_markdown, transfer_rows
from mtrans.train.opening import set_aside
from mtrans.train.run_folder import RunFolder

PLAN_FILE, TABLES = "study.yaml", "tables"


def run_study(
    plan: StudyPlan,
    out: str | Path,
    *,
    workers: int = 1,
    fresh: bool = False,
    say: Callable[[str], None] | None = None,
    drawing: Callable[[int, int], None] | None = None,
) -> tuple[Results, list[Outcome]]:
    """Runs what is not yet done of a study, and measures it.

    Args:
        plan: What to compare.
        out: The study's folder.
        workers: Runs side by side, each on its share of the cores.
        fresh: Move runs of the same name with other settings or data to ``<run>.old-<n>``, and do
            them anew; otherwise they are an error.
        say: Prints a line of progress; None prints on standard error.
        drawing: Called with (clips done, clips in all) while clips of a world are drawn.

    Returns:
        The results, and what became of every run; failed ones are named there.

    Raises:
        SettingsError: An unknown world or setting, or a contradiction, before anything is run.
        CheckpointError: A run folder holds a finished run with other settings or data.
        ManifestError: A manifest is missing or damaged.
    """
    outcomes = execute(plan, out, workers=workers, fresh=fresh, say=say, drawing=drawing)
    return publish(plan, Path(out)), outcomes


def execute(
    plan: StudyPlan,
    out: str | Path,
    *,
    workers: int = 1,
    fresh: bool = False,
    say: Callable[[str], None] | None = None,
    drawing: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Does the runs of :func:`run_study`, which says what the arguments are, without measuring."""
    folder = Path(out)
    variants = plan.variants()
    first = [(v, c) for v in variants for c in v.candidates]
    search = [plan.job(v, c, plan.seeds[0], folder) for v, c in first]
    _check(search, folder, {v.data.name for v in variants if v.data.world is None})
    draw(plan.data, folder, workers=workers, progress=drawing)
    make_folder(tables_of(plan, folder))
    write_plan(plan, tables_of(plan, folder) / PLAN_FILE)
    if fresh:
        _make_way(plan, folder)
    total = len(search) + len(variants) * (len(plan.seeds) - 1)
    watch = Watch(total, workers, say)
    live = sys.stderr.isatty()
    settled, open_ = _split(variants)  # one candidate: its other seeds need not wait for a choice
    jobs = search + [
        plan.job(v, v.candidates[0], seed, folder) for seed in plan.seeds[1:] for v in settled
    ]
    outcomes = run_jobs(jobs, folder, workers, watch=watch, live=live)
    if killed := [o.job for o in outcomes if o.killed]:  # by now there may be memory for them
        watch.again(killed)
        outcomes = [o for o in outcomes if not o.killed]
        outcomes += run_jobs(killed, folder, workers, watch=watch, live=live)
    rest = [
        plan.job(variant, chosen, seed, folder)
        for seed in plan.seeds[1:]
        for variant in open_
        if (chosen := _choice(plan, variant, folder, outcomes)) is not None
    ]
    outcomes += run_jobs(rest, folder, workers, watch=watch, live=live)
    return outcomes


def publish(plan: StudyPlan, folder: Path) -> Results:
    """Measures what is there, and writes it as JSON, Markdown and CSV."""
    results = collect(plan, folder)
    if plan.transfer:
        moved = [*transfer_rows(plan, folder), *outside_rows(results)]
        results = replace(results, transfer=moved)
    place = tables_of(plan, folder)
    write_results(results, place / "results.json")
    tables = markdown(results)
    if plan.transfer:
        tables += "\n" + transfer_markdown(results.transfer)
        write_text(place / "transfer.csv", transfer_csv(results.transfer))
    else:
        (place / "transfer.csv").unlink(missing_ok=True)
    write_text(place / "table.md", tables)
    write_text(place / "table.csv", to_csv(results))
    write_text(place / "cost.csv", cost_csv(results))
    return results


def tables_of(plan: StudyPlan, folder: Path) -> Path:
    """Returns where a plan's tables lie in a study's folder."""
    return folder / TABLES / plan.name if plan.name else folder


def load_study(folder: str | Path) -> StudyPlan:
    """Returns the plan kept in a study's folder, or in a folder of tables within it.

    Raises:
        StudyError: The folder holds no study.
    """
    file = Path(folder) / PLAN_FILE
    if not file.exists():
        raise StudyError(f"'{folder}' holds no study: it has no {PLAN_FILE}")
    return read_plan(file)


def load_studies(folder: str | Path) -> list[StudyPlan]:
    """Returns all plans kept in a study's folder: the one without a name first.

    Raises:
        StudyError: The folder holds no study.
    """
    files = sorted(Path(folder).glob(f"{TABLES}/*/{PLAN_FILE}"))
    own = Path(folder) / PLAN_FILE
    if not own.exists() and not files:
        raise StudyError(f"'{folder}' holds no study: it has no {PLAN_FILE}")
    return [read_plan(file) for file in ([own] if own.exists() else []) + files]


def _check(jobs: list[Job], folder: Path, manifests: set[str]) -> None:
    """Builds all settings and reads own manifests, so that a mistake is found before hours of work.

    Args:
        jobs: The runs of the first seed.
        folder: The study's folder.
        manifests: Data sets that are manifests; the clips of others may not be drawn yet.
    """
    for job in jobs:
        try:
            job.settings(folder)
        except SettingsError as error:
            raise SettingsError(f"{job.name}: {error}") from error
        if job.name.split("/")[0] in manifests:
            job.data("train", "val", "test")


def _make_way(plan: StudyPlan, folder: Path) -> None:
    """Moves away runs that have the names of this plan's and are others."""
    for variant, seed in itertools.product(plan.variants(), plan.seeds):
        for chosen in variant.candidates:
            job = plan.job(variant, chosen, seed, folder)
            run = RunFolder(folder / job.name)
            try:
                is_done(job, folder)
                other = run.state() == "unfinished" and bool(differences(job, run))
            except CheckpointError:
                other = True
            if other:
                set_aside(run.path)


def _split(variants: list[Variant]) -> tuple[list[Variant], list[Variant]]:
    """Returns those with one candidate, and those with more."""
    return (
        [v for v in variants if len(v.candidates) == 1],
        [v for v in variants if len(v.candidates) > 1],
    )


def _choice(
    plan: StudyPlan, variant: Variant, folder: Path, outcomes: list[Outcome]
) -> dict[str, object] | None:
    """Returns what the search chose; None where no candidate came through."""
    failed = {o.job.name for o in outcomes if o.error}
    jobs = [plan.job(variant, c, plan.seeds[0], folder) for c in variant.candidates]
    return None if all(j.name in failed for j in jobs) else choose(plan, variant, folder)[0]
