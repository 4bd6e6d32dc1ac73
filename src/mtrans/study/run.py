"""A plan -> runs -> results: draws the clips, searches, runs the other seeds, measures.

    study/
      study.yaml            the plan
      data/<name>/          clips of a synthetic world
      cache/                frozen features, shared by all runs
      <data>/<contender>/[<point>/]<candidate>-seed-<seed>/   run folders
      results.json, table.md, table.csv

A stopped study goes on where it was; a plan that grew (more seeds, contenders, candidates) in the
same folder runs only what is new.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from mtrans.core.errors import SettingsError
from mtrans.core.files import make_folder, write_text
from mtrans.study.grid import Outcome, Watch, run_jobs
from mtrans.study.jobs import Job, StudyError
from mtrans.study.plan import StudyPlan, Variant
from mtrans.study.plan_file import read_plan, write_plan
from mtrans.study.results import Results, choose, collect, write_results
from mtrans.study.tables import markdown, to_csv

PLAN_FILE = "study.yaml"


def run_study(
    plan: StudyPlan,
    out: str | Path,
    *,
    workers: int = 1,
    say: Callable[[str], None] | None = None,
    drawing: Callable[[int, int], None] | None = None,
) -> tuple[Results, list[Outcome]]:
    """Runs what is not yet done of a study, and measures it.

    Args:
        plan: What to compare.
        out: The study's folder.
        workers: Runs side by side, each on its share of the cores.
        say: Prints a line of progress; None prints on standard error.
        drawing: Called with (clips done, clips in all) while clips of a world are drawn.

    Returns:
        The results, and what became of every run; failed ones are named there.

    Raises:
        SettingsError: An unknown world or setting, or a contradiction, before anything is run.
        CheckpointError: A run folder holds a finished run with other settings or data.
        ManifestError: A manifest is missing or damaged.
    """
    outcomes = execute(plan, out, workers=workers, say=say, drawing=drawing)
    return publish(plan, Path(out)), outcomes


def execute(
    plan: StudyPlan,
    out: str | Path,
    *,
    workers: int = 1,
    say: Callable[[str], None] | None = None,
    drawing: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Does the runs of :func:`run_study`, which says what the arguments are, without measuring."""
    folder = Path(out)
    variants = plan.variants()
    first = [(v, c) for v in variants for c in v.candidates]
    search = [plan.job(v, c, plan.seeds[0], folder) for v, c in first]
    _check(search, folder)
    _draw(plan, folder, workers, drawing)
    write_plan(plan, folder / PLAN_FILE)
    total = len(search) + len(variants) * (len(plan.seeds) - 1)
    watch = Watch(total, workers, say)
    live = sys.stderr.isatty()
    outcomes = run_jobs(search, folder, workers, watch=watch, live=live)
    rest = [
        plan.job(variant, chosen, seed, folder)
        for seed in plan.seeds[1:]
        for variant in variants
        if (chosen := _choice(plan, variant, folder, outcomes)) is not None
    ]
    outcomes += run_jobs(rest, folder, workers, watch=watch, live=live)
    return outcomes


def publish(plan: StudyPlan, folder: Path) -> Results:
    """Measures what is there, and writes it as JSON, Markdown and CSV."""
    results = collect(plan, folder)
    write_results(results, folder / "results.json")
    write_text(folder / "table.md", markdown(results))
    write_text(folder / "table.csv", to_csv(results))
    return results


def load_study(folder: str | Path) -> StudyPlan:
    """Returns the plan kept in a study's folder.

    Raises:
        StudyError: The folder holds no study.
    """
    file = Path(folder) / PLAN_FILE
    if not file.exists():
        raise StudyError(f"'{folder}' holds no study: it has no {PLAN_FILE}")
    return read_plan(file)


def _check(jobs: list[Job], folder: Path) -> None:
    """Builds all settings, so that a mistake is found before hours of work."""
    for job in jobs:
        try:
            job.settings(folder)
        except SettingsError as error:
            raise SettingsError(f"{job.name}: {error}") from error


def _draw(
    plan: StudyPlan, folder: Path, workers: int, drawing: Callable[[int, int], None] | None
) -> None:
    from mtrans.video.worlds.make import make_world

    make_folder(folder)
    for data in plan.data:
        if data.world:
            given = {"train": data.train, "val": data.val, "test": data.test}
            counts = {split: int(n) for split, n in given.items() if n is not None}
            place = folder / "data" / data.name
            make_world(data.world, place, counts, data.seed, workers=workers, progress=drawing)


def _choice(
    plan: StudyPlan, variant: Variant, folder: Path, outcomes: list[Outcome]
) -> dict[str, object] | None:
    """Returns what the search chose; None where no candidate came through."""
    failed = {o.job.name for o in outcomes if o.error}
    jobs = [plan.job(variant, c, plan.seeds[0], folder) for c in variant.candidates]
    return None if all(j.name in failed for j in jobs) else choose(plan, variant, folder)[0]
