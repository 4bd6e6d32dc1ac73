"""`mtrans text-control`: what a frozen language model tells from the words alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtrans.app import output
from mtrans.app.commands_crossval import By


def text_control(
    data: Annotated[
        Path, typer.Option(help="Training manifest; without --test one whose samples name folds.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    val: Annotated[
        Path | None,
        typer.Option(help="Manifest to choose on.", show_default="a part of --data"),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="Manifest to answer, once.", show_default="each fold"),
    ] = None,
    lm: Annotated[
        str, typer.Option(help="smollm2, a causal language model's folder, or its name on the Hub.")
    ] = "smollm2",
    layers: Annotated[
        list[int] | None,
        typer.Option(
            help="Hidden states to try; 0: embedding.", show_default="five, evenly spaced"
        ),
    ] = None,
    val_share: Annotated[
        float, typer.Option(help="Share of the training samples to choose on, without --val.")
    ] = 0.15,
    by: Annotated[
        By, typer.Option(metavar="UNIT", help="What that keeps whole: video, group or speaker.")
    ] = By.video,
    seed: Annotated[int, typer.Option(help="Of that share.")] = 0,
    cache: Annotated[
        Path | None,
        typer.Option(help="Where hidden states are kept.", show_default="the user's cache folder"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Probe a frozen language model on the text of each sample: a control without video.

    A logistic regression on hidden states, one for each type of question; layer, pooling and
    penalty are chosen on validation. A model trained on the words can do better. Stopped, the same
    command goes on: what was read is kept. `mtrans results SET=OUT` puts it beside published rows.
    """
    from mtrans.core.errors import SettingsError
    from mtrans.study.text_control.record import Texts
    from mtrans.study.text_control.run import text_control as control

    if not 0 < val_share < 1:
        raise SettingsError(f"--val-share {val_share}: wanted a share above 0 and below 1")
    output.quiet_libraries()
    texts = Texts(data, val, test, val_share, by.value, seed)
    with output.progress("reading texts") as step:
        control(
            *(texts, out),
            lm=lm,
            layers=layers or (),
            cache=cache,
            device=device,
            say=output.say,
            progress=step,
        )
    print((out / "table.md").read_text(encoding="utf-8"))
    print(f"table: {out / 'table.md'}; answers: {out / 'predictions.jsonl'}")
