"""`mtrans robustness`: what disturbs a model, and whether the order of frames matters to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtrans.app import output
from mtrans.app.models import Device, open_predictor

if TYPE_CHECKING:
    from mtrans.core.records import Sample

QUICK_CLIPS, QUICK_SEVERITY = 100, 3
"""What --quick tests."""


def robustness(
    run: Annotated[str, typer.Argument(help="A run folder, an adapter folder, or a backbone.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Manifest of the test questions.", show_default="those the run has answered"
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Perturbations, e.g. reverse noise; or pgd, pgd_noise.",
            show_default="all but the attacks",
        ),
    ] = None,
    severities: Annotated[
        list[int] | None, typer.Option(help="Of 1 to 5.", show_default="1 3 5")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="About so many questions, of clips drawn at random.")
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="So many clips, drawn at random.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="100 clips, severity 3 alone: a first look.")
    ] = False,
    attack: Annotated[
        bool, typer.Option("--attack", help="Attack the pixels too (PGD), beside equal noise.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write.", show_default="RUN/robustness")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions answered together.")] = 32,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results of other data or another seed.")
    ] = False,
    device: Device = None,
) -> None:
    """Answer the questions again under perturbations, and measure what that changes.

    Writes one predictions file for each perturbation and severity, robustness.json, and the section
    "Robustness" of the run's report.html. Stopped at any point, the same command goes on; with
    fewer perturbations what is there already is shown as well. They are listed in
    docs/robustness.md.
    """
    from mtrans.app.data import as_samples, check_model
    from mtrans.core.errors import SettingsError

    check_model(run)
    samples = as_samples(data) if data is not None else answered(Path(run))
    if quick:
        clips, severities = clips or QUICK_CLIPS, severities or [QUICK_SEVERITY]
    output.quiet_libraries()
    from mtrans.infer.robustness import choose, plan, run_robustness
    from mtrans.measure.robustness import robustness as measure

    samples = choose(samples, limit, seed, clips=clips)
    conditions = plan(
        only or (),
        severities or (1, 3, 5),
        attack=attack,
        seed=seed,
        dialogue=any(s.context for s in samples),
    )
    predictor = open_predictor(run, device, None)
    if out is None:
        if predictor.run is None:
            raise SettingsError(f"'{run}' has no run folder to write to; give --out")
        out = predictor.run.path / "robustness"
    with output.progress("perturbing") as step:
        run_robustness(
            predictor,
            samples,
            out,
            conditions,
            batch_size=batch_size,
            overwrite=overwrite,
            progress=step,
        )
    found = measure(out)
    _show(found, run)
    print(f"robustness: {out / 'robustness.json'}")
    if predictor.run is not None and out == predictor.run.path / "robustness":
        from mtrans.report.build import build

        print(f"report:     {build(predictor.run.path)}")


def answered(run: Path) -> list[Sample]:
    """Returns the questions that a run has answered, as they were asked.

    Raises:
        SettingsError: They are not all in its predictions, or there are none.
    """
    from mtrans.app.data import predictions_of
    from mtrans.core.errors import SettingsError
    from mtrans.measure.predictions import question_of, read_predictions
    from mtrans.train.circumstances import describe_data

    if not run.is_dir():
        raise SettingsError(f"'{run}' is no run folder, so its questions are unknown; give --data")
    path = predictions_of(run)
    samples = [question_of(p) for p in read_predictions(path)]
    try:
        meta = json.loads(path.with_suffix(".meta.json").read_text(encoding="utf-8"))
        asked = meta["data"]["hash"]
    except (OSError, ValueError, KeyError, TypeError):
        asked = None
    if asked != describe_data(samples)["hash"]:
        raise SettingsError(
            f"'{path}' does not hold its questions as they were asked (an older mtrans left out the"
            " dialogue, or the clips have moved or changed); give the manifest with --data"
        )
    return samples


def _show(found: dict[str, Any], run: str) -> None:
    made = output.table(
        "perturbation",
        "severity",
        "right %",
        "95 % interval",
        "lost %",
        "other answers %",
        title=f"{run}, undisturbed {output.percent(found['clean']['accuracy'])} % right",
    )
    for row in found["rows"]:
        made.add_row(
            row["name"],
            str(row["severity"]),
            output.percent(row["accuracy"]),
            output.numbers("accuracy", row["low"], row["high"]),
            output.percent(row["drop"]),
            output.percent(row["flips"]),
        )
    output.console().print(made)
    for line in found["says"]:
        print(line)
