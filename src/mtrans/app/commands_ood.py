"""`mtrans ood`: know the clips a run was trained on, and tell strange ones from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtrans.app import output
from mtrans.app.models import Device, open_predictor


def ood(
    run: Annotated[str, typer.Argument(help="The run folder.")],
    fit: Annotated[Path | None, typer.Option(help="Manifest of the run's training clips.")] = None,
    known: Annotated[
        Path | None, typer.Option(help="Clips of the same kind, not trained on.")
    ] = None,
    strange: Annotated[
        list[Path] | None, typer.Option(help="Clips of another kind; repeatable.")
    ] = None,
    device: Device = None,
) -> None:
    """Say when a clip is unlike those a run was trained on.

    With --fit, ood.npz in the run folder keeps what training clips look like to the model, and
    `mtrans ask --warn-ood` warns of others. With --known and --strange it measures how well
    distance and confidence tell the two apart (AUROC: 50 is chance, 100 is never wrong), writes
    ood.json and adds the answer to the run's report.html.
    """
    from mtrans.app.data import as_samples, check_model
    from mtrans.core.errors import SettingsError

    if (known is None) == bool(strange) or (fit is None and known is None):
        raise SettingsError("give --fit TRAIN.jsonl, or both --known and --strange, or all three")
    check_model(run)
    output.quiet_libraries()
    from mtrans.infer.gaussian import read_gaussian
    from mtrans.infer.ood import fit_run, scores
    from mtrans.measure.ood import compare, write_ood

    predictor = open_predictor(run, device, None)
    if fit is not None:
        found = fit_run(predictor, as_samples(fit))
        print(f"fitted on {found.n} clips; usual limit of the distance {found.threshold:.1f}")
    if known is None or not strange:
        return
    folder = Path(run) if predictor.run is None else predictor.run.path
    limit = read_gaussian(folder).threshold
    inside = scores(predictor, as_samples(known))
    rows = []
    for path in strange:
        measured = compare(inside, scores(predictor, as_samples(path)), limit)
        rows.append({"name": _world(path), "file": path.name, "scores": measured})
    _show(rows, known)
    written = write_ood(folder, rows, known=len(inside["distance"]))
    print(f"numbers: {written}")
    from mtrans.report.build import build

    print(f"report:  {build(folder)}")


def _show(rows: list[dict[str, Any]], known: Path) -> None:
    made = output.table(
        "strange clips", "score", "AUROC %", "95 % interval", title=f"against {known}"
    )
    for row in rows:
        for name, score in row["scores"].items():
            interval = output.numbers("accuracy", score["low"], score["high"])
            made.add_row(row["name"], name, output.percent(score["auroc"]), interval)
    output.console().print(made)
    for row in rows:
        warned = row["scores"]["distance"]
        print(
            f"{row['name']}: a warning comes with {output.percent(warned['warned_known'])} % of the"
            f" known clips and {output.percent(warned['warned_strange'])} % of the strange ones"
        )


def _world(path: Path) -> str:
    """Returns what clips are called: the file, or its folder where it is named for a split."""
    return path.parent.name if path.stem in ("train", "val", "test", "data") else path.stem
