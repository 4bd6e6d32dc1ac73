"""`mtrans ask`: one question about one video."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtrans.app import output
from mtrans.app.models import Device, Raw, Settings, open_predictor

if TYPE_CHECKING:
    from mtrans.core.records import Turn


def ask(
    model: Annotated[str, typer.Argument(help="A run folder, an adapter folder, or a backbone.")],
    video: Annotated[str, typer.Argument(help="The video file; - asks without one.")],
    question: Annotated[str, typer.Argument(help="The question.")],
    choice: Annotated[
        list[str] | None, typer.Option(help="A candidate; give two or more for probabilities.")
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(help='A turn said before, "speaker: text"; oldest first.'),
    ] = None,
    start: Annotated[float | None, typer.Option(help="Start of the clip in seconds.")] = None,
    end: Annotated[float | None, typer.Option(help="End of the clip in seconds.")] = None,
    device: Device = None,
    set_: Settings = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(help="Give no answer where the likeliest candidate is less likely than this."),
    ] = None,
    warn_ood: Annotated[
        bool,
        typer.Option("--warn-ood", help="Warn where the clip is unlike those trained on."),
    ] = False,
    raw: Raw = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask a question about a video.

    With candidates the likeliest one is the answer, and each gets a probability; without, an
    answer is generated. A backbone that was not adapted sees each frame as an image, pooled.
    Probabilities are calibrated where `mtrans calibrate` was run.
    """
    from mtrans.app.data import check_model

    check_model(model)
    output.quiet_libraries()
    from mtrans.infer.answers import asked
    from mtrans.infer.predictor import check_abstention, find_adapter

    check_abstention(abstain_below, choice)
    turns = [as_turn(text) for text in context or ()]
    given = (None if video == "-" else video, question, choice or None, turns, start, end)
    asked(*given)  # what is asked wrongly is said before a model is loaded
    predictor = open_predictor(model, device, set_, calibrated=not raw)
    answer = predictor.ask(*given, abstain_below=abstain_below)
    if warn_ood:
        from mtrans.infer.ood import warning

        if line := warning(predictor, asked(*given)):
            output.say(f"warning: {line}")
    if short := predictor.collate.heed_short():
        output.say(short)
    if as_json:
        print(json.dumps(output.plain(dataclasses.asdict(answer)), ensure_ascii=False))
        return
    if answer.abstained and answer.probabilities:
        sure = output.percent(max(answer.probabilities))
        print(f"no answer: the likeliest candidate has {sure} %")
    else:
        print(answer.text)
    if answer.choices and answer.probabilities:
        made = output.table("candidate", "probability %")
        for text, p in zip(answer.choices, answer.probabilities, strict=True):
            made.add_row(text, output.percent(p))
        output.console().print(made)
    times = ", ".join(f"{t:.2f}" for t in answer.times)
    looked = f"frames at {times} s; " if times else ""
    output.say(
        f"{looked}{answer.tokens.get('visual', 0)} visual tokens; {answer.read_ms:.0f} ms reading,"
        f" {answer.ms:.0f} ms model"
    )
    if find_adapter(Path(model))[0] is None:
        output.say(f"'{model}' is not adapted to video: it sees each frame as an image, pooled")


def as_turn(text: str) -> Turn:
    """Returns a dialogue turn of ``speaker: text``, or of text alone (``12:30 will do``)."""
    from mtrans.core.records import Turn

    speaker, colon, said = text.partition(": ")
    return Turn(said.strip(), speaker.strip()) if colon and said.strip() else Turn(text.strip())
