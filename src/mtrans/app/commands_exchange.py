"""`mtrans import-predictions`, `export-predictions`, `card`, `data card`: for other tools."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mtrans.app import output


class LogForm(StrEnum):
    """Forms of predictions."""

    lmms_eval = "lmms-eval"
    jsonl = "jsonl"


Form = Annotated[
    LogForm,
    typer.Option("--format", help="lmms-eval's sample log, or our own JSONL."),
]


def import_predictions(
    file: Annotated[
        Path, typer.Argument(help="*_samples_TASK.jsonl of lmms-eval, or predictions as JSONL.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write predictions.jsonl to.")],
    form: Form = LogForm.lmms_eval,
    samples: Annotated[
        Path | None,
        typer.Option(help="The manifest that was asked; lmms-eval's logs need it."),
    ] = None,
) -> None:
    """Read another system's answers, so that `mtrans compare` and `report` can use them.

    A log of lmms-eval names documents by their number: number 0 is the manifest's first line.
    Answers to multiple-choice questions that are text are matched to the candidates; one that
    matches none, or several, counts as wrong and is said.
    """
    from mtrans.data.manifest import read_manifest
    from mtrans.interop.sample_logs import import_predictions as run
    from mtrans.measure.score import score_predictions

    asked = None if samples is None else read_manifest(samples)
    made = run(file, form.value, out, asked)
    target = out / "predictions.jsonl"
    failed = sum(p.parse == "failed" and p.error is None for p in made)
    broken = sum(p.error is not None for p in made)
    missing = 0 if asked is None else len(asked) - len(made)
    if any(p.target is not None for p in made):
        scores = [s for s in score_predictions(target) if not s.slice]
        output.console().print(output.scores_table(scores, "imported"))
    print(f"{len(made)} predictions written to {target}")
    if failed:
        output.say(f"note: {failed} answers name no candidate, or several; they count as wrong")
    if broken:
        output.say(f"note: {broken} lines tell of an error; they count as wrong")
    if missing:
        output.say(f"note: {missing} of {len(asked or ())} questions in --samples have no answer")


def export_predictions(
    run: Annotated[Path, typer.Argument(help="A run folder or a predictions file.")],
    out: Annotated[Path, typer.Option(help="The JSONL file to write.")],
    form: Form = LogForm.lmms_eval,
) -> None:
    """Write predictions in the form of lmms-eval's sample logs, or as one checked JSONL file."""
    from mtrans.app.data import predictions_of
    from mtrans.core.errors import SettingsError
    from mtrans.core.files import make_folder, write_text
    from mtrans.interop.sample_logs import to_log
    from mtrans.measure.predictions import read_predictions, write_predictions

    if out.exists():
        raise SettingsError(f"'{out}' exists already; give another --out")
    made = read_predictions(predictions_of(run))
    if form is LogForm.jsonl:
        write_predictions(out, made)
    else:
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in to_log(made)]
        make_folder(out.parent)
        write_text(out, "".join(lines))
    print(f"{len(made)} predictions written to {out}")


def data_card(
    folder: Annotated[Path, typer.Argument(help="A folder that `mtrans data prepare` wrote.")],
) -> None:
    """Write README.md for a prepared data set: splits, balance, licence, source, hashes.

    In the form of the Hugging Face Hub (YAML header); nothing is uploaded.
    """
    from mtrans.interop.cards import data_card as write

    print(f"card: {write(folder)}")


def model_card(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
) -> None:
    """Write README.md into a run's adapter folder: base, data, scores, how to load it.

    In the form of the Hugging Face Hub (YAML header); nothing is uploaded.
    """
    from mtrans.interop.cards import model_card as write

    print(f"card: {write(run)}")
