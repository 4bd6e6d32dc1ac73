"""`mtrans report`, `compare`, `settings`, `doctor`, `demo`: what was done and what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtrans.app import output


def report(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    compare: Annotated[
        list[Path] | None, typer.Option(help="Another run on the same questions; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The HTML file.", show_default="report.html in the run")
    ] = None,
) -> None:
    """Write one self-contained HTML file on a run: scores, curves, break-downs, clips, cost."""
    from mtrans.core.errors import SettingsError
    from mtrans.report.build import build, unlike

    page = build(run, out, compare or ())
    print(f"report: {page}")
    if compare and (wrong := unlike(run, compare)):
        raise SettingsError(f"the report is written, but it can't compare {'; '.join(wrong)}")


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders or predictions files, the reference first."),
    ],
    metric: Annotated[
        list[str] | None, typer.Option(help="A metric; without, those that fit the questions.")
    ] = None,
) -> None:
    """Compare runs on the same questions: paired differences with 95 % intervals, McNemar's test.

    The interval is drawn over videos; McNemar's p takes questions as independent.
    """
    from mtrans.app.data import predictions_of
    from mtrans.core.errors import SettingsError
    from mtrans.measure.compare import compare as paired

    if len(runs) < 2:
        raise SettingsError("one run leaves nothing to compare; give two or more, reference first")
    files = [predictions_of(run) for run in runs]
    names = _names(runs)
    for file, name in list(zip(files, names, strict=True))[1:]:
        rows = paired(files[0], file, metrics=metric)
        output.console().print(output.comparison_table(rows, names[0], name))
        print(f"{rows[0].n} questions on {rows[0].clusters} videos" if rows else "")


def settings(
    word: Annotated[
        str | None, typer.Argument(help="Only settings whose name or meaning has this word.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Whose values to show.")] = "mtrans",
    baseline: Annotated[
        str | None, typer.Option(help="Lay this contender's choices over them.")
    ] = None,
) -> None:
    """List every setting with its value and meaning; `--set key=value` changes it."""
    from mtrans.app.prose import describe_settings
    from mtrans.core.errors import SettingsError
    from mtrans.core.settings import load_settings

    chosen = describe_settings(load_settings(preset=preset, baseline=baseline))
    if word:
        chosen = [s for s in chosen if word.lower() in f"{s.name} {s.about}".lower()]
        if not chosen:
            raise SettingsError(f"no setting has '{word}' in its name or meaning")
    made = output.table("setting", "value", "kind", "meaning", text=4)
    made.columns[0].no_wrap = True
    for s in chosen:
        made.add_row(s.name, s.value, s.kind, s.about)
    output.console().print(made, markup=False)


def doctor(
    plan: Annotated[
        bool, typer.Option("--plan", help="Foretell memory, disk and time of a training instead.")
    ] = False,
    backbone: Annotated[
        str, typer.Option(help="With --plan: tiny, mid, a folder, or a published checkpoint.")
    ] = "tiny",
    frames: Annotated[int, typer.Option(min=1, help="With --plan: frames of a clip.")] = 8,
    batch: Annotated[int, typer.Option(min=1, help="With --plan: clips in a step.")] = 4,
    text: Annotated[int, typer.Option(min=1, help="With --plan: tokens of a question.")] = 32,
    device: Annotated[
        str | None, typer.Option(help="With --plan: cuda may be asked for where there is none.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="With --plan: one setting, key=value.")
    ] = None,
    timed: Annotated[
        bool, typer.Option("--time/--no-time", help="With --plan: run small models for the time.")
    ] = True,
) -> None:
    """Say what is installed, which device and dtype, what would fit, and what is missing.

    With --plan: what memory, disk and time a training of a backbone will take. Nothing is
    downloaded; memory is counted, and time foretold from small models with the same widths.
    """
    output.quiet_libraries()
    if plan:
        from mtrans.app.plan import make_plan, plan_case, show_plan

        case = plan_case(backbone, frames, batch, text, device, set_ or [])
        show_plan(make_plan(case, timed=timed), backbone)
        return
    from mtrans.app.doctor import examine, show

    show(examine())


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("runs/demo"),
    full: Annotated[
        bool, typer.Option("--full", help="Also train single frame and mean-pooled frames.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of clips and training.")] = 0,
    train_clips: Annotated[
        int | None, typer.Option(min=1, help="Training clips.", show_default="the plan's")
    ] = None,
) -> None:
    """Do the whole job on synthetic clips: adapt, measure and compare against fair contenders.

    What is done is kept: a second call with the same options only prints the results.
    """
    from mtrans.app.demo import DemoPlan, run_demo

    plan = DemoPlan.make(full=full, seed=seed, train_clips=train_clips)
    output.quiet_libraries()
    run_demo(plan, out)


def _names(runs: list[Path]) -> list[str]:
    """Returns short names that differ: paths without the folders that all begin or end with."""
    short = [run.resolve().name for run in runs]
    if len(set(short)) == len(short):
        return short
    parts = [run.resolve().parts for run in runs]
    for end in (0, -1):
        while min(map(len, parts)) > 1 and len({part[end] for part in parts}) == 1:
            parts = [part[1:] if end == 0 else part[:-1] for part in parts]
    return ["/".join(part) for part in parts]
