"""`mtrans eval`: answer a manifest's questions and measure the answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtrans.app import output
from mtrans.app.models import Device, Raw, Settings, open_predictor
from mtrans.app.processes import main_process

if TYPE_CHECKING:
    from mtrans.infer.latency import AnswerCost
    from mtrans.infer.predictor import Predictor


def evaluate(
    data: Annotated[Path, typer.Option(help="Manifest of the questions.")],
    model: Annotated[
        str | None, typer.Argument(help="A run folder, an adapter folder, a backbone or hf:MODEL.")
    ] = None,
    named: Annotated[
        str | None, typer.Option("--model", help="MODEL, as an option; give one of the two.")
    ] = None,
    split_name: Annotated[
        str | None, typer.Option(help="Write predictions_NAME.jsonl in the run folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write here instead: a .jsonl file or a folder.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions answered together.")] = 32,
    device: Device = None,
    set_: Settings = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace predictions of other data or settings.")
    ] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Don't use the feature cache.")
    ] = False,
    raw: Raw = False,
    likelihood: Annotated[
        bool, typer.Option("--likelihood", help="With hf:MODEL: score candidates, don't generate.")
    ] = False,
) -> None:
    """Answer a manifest's questions and measure the answers.

    Writes predictions.jsonl (all later measuring needs only that) and scores.json beside it; with
    --out NAME.jsonl that file and NAME.scores.json.
    Intervals are 95 % bootstrap intervals over videos. Clips that can't be read count as wrong.
    Probabilities are calibrated where `mtrans calibrate` was run; log_likelihoods never are.
    hf:MODEL is any image-text-to-text model that transformers loads, untrained: it gets our frames
    and listed candidates, and what it writes is read by our parser.
    """
    from mtrans.app.data import as_samples, check_model, has_answers, predictions_file
    from mtrans.core.errors import SettingsError

    if split_name is not None and out is not None:
        raise SettingsError("--split-name names a file in the run folder; leave it or --out away")
    model = _one_model(model, named)
    check_model(model.removeprefix("hf:"))
    samples = as_samples(data)
    output.quiet_libraries()
    from mtrans.infer.evaluate import evaluate as run_evaluate
    from mtrans.infer.latency import answer_cost
    from mtrans.measure.score import score_predictions, scores_path

    predictor: Predictor
    if model.startswith("hf:"):
        predictor = _open_foreign(model, device, set_, likelihood)
    else:
        if likelihood:
            raise SettingsError(
                "--likelihood is for hf:MODEL; ours score candidates without it; leave it away"
            )
        predictor = open_predictor(model, device, set_, calibrated=not raw)
    path = predictions_file(out)
    if path is None and split_name is not None and predictor.run is not None:
        path = predictor.run.predictions(split_name)
    done = run_evaluate(
        predictor,
        samples,
        path,
        batch_size=batch_size,
        overwrite=overwrite,
        use_cache=False if no_cache else None,
    )
    if not main_process():
        return
    if short := predictor.collate.heed_short():
        output.say(short)
    if done.failed:
        output.say(f"{done.failed} questions have no answer: their clips can't be read")
    if not has_answers(samples):
        output.say(f"there is nothing to score: no sample of {data} has a right answer")
        print(f"predictions: {done.predictions}")
        return
    cost = answer_cost(predictor, samples)
    scores = score_predictions(
        done.predictions, cost=dataclasses.asdict(cost) if cost is not None else None
    )
    _print_scores(scores, f"{model} on {data}")
    if cost is not None:
        print(_told(cost))
    print(f"predictions: {done.predictions}\nscores:      {scores_path(done.predictions)}")


def _told(cost: AnswerCost) -> str:
    parts = ", ".join(f"{k} {v / 1e9:.3g}" for k, v in cost.component_flops.items())
    counted = ""
    if cost.answer_flops is not None:
        counted = f" {cost.answer_flops / 1e9:.3g} GFLOPs" + (f" ({parts});" if parts else ";")
    return (
        f"one answer: {cost.first_token_ms:.0f} ms to the first token, {cost.answer_ms:.0f} ms in"
        f" all; {cost.visual_tokens} visual tokens;{counted}"
        f" peak memory {output.size(cost.peak_memory_mb * 2**20)}"
    )


def _one_model(model: str | None, named: str | None) -> str:
    """Returns the model that was given as argument or as option.

    Raises:
        SettingsError: None was given, or two that differ.
    """
    from mtrans.core.errors import SettingsError

    given = list(dict.fromkeys(m for m in (model, named) if m is not None))
    if len(given) == 1:
        return given[0]
    what = "no model came" if not given else f"two models came, '{given[0]}' and '{given[1]}'"
    raise SettingsError(
        f"{what}; give one: a run folder, an adapter folder, a backbone or hf:MODEL"
    )


def _open_foreign(
    model: str, device: str | None, overrides: list[str] | None, likelihood: bool
) -> Predictor:
    """Loads a model of another kind, to answer under our frames and prompt."""
    from mtrans.core.settings import load_settings
    from mtrans.infer.foreign import load_foreign

    settings = load_settings(overrides=overrides or [])
    return load_foreign(model, settings, device=device or "auto", likelihood=likelihood)


def _print_scores(scores: Any, title: str) -> None:
    """Prints scores over everything and by question type."""
    console = output.console()
    console.print(output.scores_table(scores, title))
    by_type = output.slices_table(scores, "type", "by question type")
    if by_type is not None:
        console.print(by_type)
