"""`mtrans study`: a grid of runs from one description, resumable, with its table and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtrans.app import output

if TYPE_CHECKING:
    from mtrans.study.results import Results

study = typer.Typer(help="Grids of runs from one description.", no_args_is_help=False)


@study.command("run")
def run(
    plan: Annotated[Path, typer.Argument(help="YAML; `mtrans study example` prints one.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    workers: Annotated[
        int, typer.Option(min=1, help="Runs side by side, each on its share of the cores.")
    ] = 1,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Move runs of other settings or data away, and redo them."),
    ] = False,
) -> None:
    """Run a study: every contender at every point of the grid, with every seed; then measure.

    What is done is kept: a stopped study goes on where it was, a plan that grew runs what is new.
    A run that fails stops no other; it is named at the end and tried again the next time.
    """
    from mtrans.study.grid import failures
    from mtrans.study.plan_file import read_plan
    from mtrans.study.run import run_study

    output.quiet_libraries()
    planned = read_plan(plan)
    with output.progress("drawing clips") as step:
        results, outcomes = run_study(planned, out, workers=workers, fresh=fresh, drawing=step)
    _show(results, out)
    if failed := failures(outcomes, out):
        raise failed


@study.command("show")
def show(
    folder: Annotated[Path, typer.Argument(help="The study's folder.")],
) -> None:
    """Measure what is there of a study and write its tables anew; runs nothing.

    Also of one that is not finished or just being run. Plans that share the folder are all shown.
    """
    from mtrans.study.run import load_studies, publish

    for plan in load_studies(folder):
        _show(publish(plan, folder), folder)


@study.command("status")
def status(
    folder: Annotated[Path, typer.Argument(help="The study's folder.")],
    plan: Annotated[
        Path | None, typer.Option(help="A plan that is not in the folder yet, or grew.")
    ] = None,
) -> None:
    """Say how far a study is: which runs are finished, at work, stopped, not begun.

    Also while it runs; changes nothing.
    """
    from mtrans.study.grid import in_words
    from mtrans.study.plan_file import read_plan
    from mtrans.study.run import load_studies
    from mtrans.study.states import progress_of, summary

    for planned in [read_plan(plan)] if plan else load_studies(folder):
        runs = progress_of(planned, folder)
        made = output.table("run", "state", "step", "training left", text=2)
        for run in runs:
            if run.state != "finished":
                step = "" if run.step is None else f"{run.step} of {run.steps or '?'}"
                left = "" if run.left is None else in_words(run.left)
                made.add_row(run.name, run.state, step, left)
        if made.row_count:
            output.console().print(made)
        name = f"{planned.name}: " if planned.name else ""
        print(f"{name}{summary(runs)}")


@study.command("routing")
def routing(
    folder: Annotated[Path, typer.Argument(help="The study's folder.")],
    questions: Annotated[int, typer.Option(min=1, help="Test questions of each type.")] = 100,
) -> None:
    """Table what routers (DAR) do in a study's finished runs; trains nothing.

    Entropy over training, shares of masks by type of question, agreement of seeds, drift: beside
    the study's tables as routing.md, routing.csv, routing.json and a picture for each contender.
    """
    from mtrans.core.files import write_text
    from mtrans.report.study import routing_pictures
    from mtrans.study.jobs import StudyError
    from mtrans.study.routing_study import study_routing
    from mtrans.study.routing_tables import routing_markdown, write_routing
    from mtrans.study.run import load_studies, tables_of

    output.quiet_libraries()
    plans = load_studies(folder)
    nothing: StudyError | None = None
    shown = 0
    for plan in plans:
        place = tables_of(plan, folder)
        try:
            found = study_routing(plan, folder, questions)
        except StudyError as error:
            nothing = error
            continue
        shown += 1
        write_routing(found, place)
        for name, picture in routing_pictures(found):
            write_text(place / name, picture)
        print(routing_markdown(found))
        print(f"tables: {place / 'routing.md'}, {place / 'routing.csv'}")
    if not shown and nothing is not None:
        raise nothing


@study.command("count")
def count(
    folder: Annotated[Path, typer.Argument(help="The study's folder.")],
) -> None:
    """Enter what finished runs of an older version did not count of their cost.

    Operations of a training step, counted on one step in a temporary folder; time to the first
    token, time and operations of an answer, the median of a few test questions asked alone. A run
    that is made today has all of it.
    """
    from mtrans.study.count import fill_costs
    from mtrans.study.run import load_studies

    output.quiet_libraries()
    filled = [name for plan in load_studies(folder) for name in fill_costs(plan, folder)]
    print(f"{len(filled)} runs completed; `mtrans study show {folder}` writes the tables anew")


@study.command("keep")
def keep(
    folder: Annotated[Path, typer.Argument(help="The study's folder.")],
    to: Annotated[
        Path, typer.Option(help="Folder of kept studies; each plan gets a folder in it.")
    ] = Path("docs/results"),
    answers: Annotated[
        bool,
        typer.Option("--answers", help="Also pack every run's answers, with the questions."),
    ] = False,
) -> None:
    """Copy a study's tables to where they are kept: no weights, and no answers unless asked for.

    A plan's folder is called <data> or <data>-<name of the plan>. With answers, whoever has the
    folder computes the tables again, or goes on with the study: `mtrans study restore`.
    """
    from mtrans.study.keep import keep as copy
    from mtrans.study.run import load_studies, publish

    for plan in load_studies(folder):
        _show(publish(plan, folder), folder)
        first = plan.data[0].name
        name = f"{first}-{plan.name}" if plan.name else first
        print(f"kept: {copy(plan, folder, to / name, answers=answers)}")


@study.command("restore")
def restore(
    kept: Annotated[Path, typer.Argument(help="A kept study's folder, or its runs.tar.xz.")],
    out: Annotated[Path, typer.Option(help="The study's folder; it may have runs already.")],
) -> None:
    """Put kept answers back where `mtrans study run` and `show` find them.

    Runs that are there are left as they are. The rest of a plan is then run as ever; the restored
    runs can't be asked anything more, their adapters were not kept.
    """
    import shutil

    from mtrans.core.files import make_folder
    from mtrans.study.archive import ARCHIVE, unpack
    from mtrans.study.plan_file import read_plan
    from mtrans.study.run import PLAN_FILE, tables_of

    made, before = unpack(kept / ARCHIVE if kept.is_dir() else kept, out)
    plan = kept / PLAN_FILE
    if plan.exists():
        place = make_folder(tables_of(read_plan(plan), out))
        if not (place / PLAN_FILE).exists():
            shutil.copyfile(plan, place / PLAN_FILE)
    there = f"; {len(before)} were there and are as they were" if before else ""
    print(f"{len(made)} runs restored to {out}{there}")


@study.command("results")
def results(
    kept: Annotated[Path, typer.Option(help="Folder of kept studies.")] = Path("docs/results"),
    studies: Annotated[Path, typer.Option(help="Folder of descriptions.")] = Path("studies"),
    out: Annotated[Path | None, typer.Option(help="File to write instead of printing.")] = None,
) -> None:
    """Write one page of all kept studies: commands, tables, pictures, notes."""
    from mtrans.core.files import make_folder, write_text
    from mtrans.report.results_page import results_page

    page = results_page(kept, studies)
    if out is None:
        print(page, end="")
        return
    make_folder(out.parent)
    write_text(out, page)
    print(f"results: {out}")


@study.command("contenders")
def contenders(
    backbone: Annotated[
        str, typer.Option(help="What they are counted on: tiny, a folder, or a published one.")
    ] = "tiny",
    frames: Annotated[int, typer.Option(min=1, help="Frames of a clip.")] = 4,
) -> None:
    """List the designs that a plan takes by name, with source, visual tokens and size."""
    from mtrans.app.connectors import HEADS, rows

    output.quiet_libraries()
    made = output.table(*HEADS, text=3)
    for row in rows(backbone, frames):
        made.add_row(*row)
    output.console().print(made)


@study.command("example")
def example() -> None:
    """Print a commented plan to start from."""
    from mtrans.study.plan_file import EXAMPLE

    print(EXAMPLE, end="")


def _show(results: Results, folder: Path) -> None:
    from mtrans.core.files import write_text
    from mtrans.report.study import build_study, pictures
    from mtrans.study.run import tables_of

    place = tables_of(results.plan, folder)
    for kind in ("cost-*.svg", "curve-*.svg"):  # an earlier plan had others
        for old in place.glob(kind):
            old.unlink()
    for name, picture in pictures(results):
        write_text(place / name, picture)
    print((place / "table.md").read_text(encoding="utf-8"))
    print(f"tables: {place / 'table.md'}, {place / 'table.csv'}, {place / 'results.json'}")
    print(f"report: {build_study(results, place / 'report.html', results.plan.name)}")
