"""`mtrans ood`: know the clips a run was trained on, and tell strange ones from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtrans.app import output
from mtrans.app.commands_model import Device, open_predictor


def ood(
    run: Annotated[str, typer.Argument(help="The run folder.")],
    fit: Annotated[Path | None, typer.Option(help="Manifest of the run's training clips.")] = None,
    known: Annotated[
        Path | None, typer.Option(help="Clips of the same kind, not trained on.")
    ] = None,
    strange: Annotated[Path | None, typer.Option(help="Clips of another kind.")] = None,
    device: Device = None,
) -> None:
    """Say when a clip is unlike those a run was trained on.

    With --fit, ood.npz in the run folder keeps what training clips look like to the model, and
    `mtrans ask --warn-ood` warns of others. With --known and --strange it measures how well
    distance and confidence tell the two apart (AUROC: 50 is chance, 100 is never wrong).
    """
    from mtrans.app.data import as_samples, check_model
    from mtrans.core.errors import SettingsError

    if (known is None) != (strange is None) or (fit is None and known is None):
        raise SettingsError("give --fit TRAIN.jsonl, or both --known and --strange, or all three")
    check_model(run)
    output.quiet_libraries()
    from mtrans.infer.gaussian import read_gaussian
    from mtrans.infer.ood import fit_run, scores
    from mtrans.measure.ood import compare

    predictor = open_predictor(run, device, None)
    if fit is not None:
        found = fit_run(predictor, as_samples(fit))
        print(f"fitted on {found.n} clips; usual limit of the distance {found.threshold:.1f}")
    if known is None or strange is None:
        return
    inside, outside = (scores(predictor, as_samples(path)) for path in (known, strange))
    rows = compare(inside, outside, read_gaussian(Path(run)).threshold)
    made = output.table("score", "AUROC %", "95 % interval", title=f"{strange} against {known}")
    for name, row in rows.items():
        interval = output.numbers("accuracy", row["low"], row["high"])
        made.add_row(name, output.percent(row["auroc"]), interval)
    output.console().print(made)
    warned = rows["distance"]
    print(
        f"a warning comes with {output.percent(warned['warned_known'])} % of the known clips and"
        f" {output.percent(warned['warned_strange'])} % of the strange ones"
    )
