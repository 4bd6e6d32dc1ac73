"""`mtrans analyze` and `mtrans calibrate`: what a model is good at, and how far to believe it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtrans.app import output
from mtrans.app.models import Device, open_predictor

if TYPE_CHECKING:
    from mtrans.core.records import Prediction, Sample
    from mtrans.infer.predictor import Predictor

FULL_CLIPS = 12
"""Clips whose maps --full tests."""


def analyze(
    run: Annotated[Path, typer.Argument(help="A run folder, or a predictions file.")],
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="One part; repeatable: mistakes, worst, directions, constructs, modality,"
            " perception, calibration, bias."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="A column whose groups are compared: speaker, group or a fact; repeatable.",
            show_default="age, and all with 2 to 24 words",
        ),
    ] = None,
    text_only: Annotated[
        Path | None, typer.Option(help="Run or predictions of a model given the text alone.")
    ] = None,
    vision_only: Annotated[
        Path | None, typer.Option(help="Run or predictions of a model given the pictures alone.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Manifest of the questions, for what older predictions do not hold."),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Ask the model again for all that needs it: perception, robustness --quick, and"
            f" the maps of {FULL_CLIPS} clips.",
        ),
    ] = False,
    device: Device = None,
) -> None:
    """Say what a model is good at, where it fails, and how far its confidence can be trusted.

    Needs the predictions alone; only `--only perception` asks the run's model, and the image model
    it was adapted from, about the objects of the clips. Writes analysis.json beside the
    predictions, and for a run the section "Analysis" of its report.html. Parts not named by --only
    stay as they were. With --full the report answers all of its questions in one go.
    """
    from mtrans.app.data import predictions_of
    from mtrans.core.calibration import read_calibration
    from mtrans.core.errors import CheckpointError, SettingsError
    from mtrans.measure.analyze import Inputs, analysis_path
    from mtrans.measure.analyze import analyze as run_analysis
    from mtrans.measure.predictions import read_predictions

    if full and only:
        raise SettingsError("--full makes all parts; leave --only away")
    path = predictions_of(run)
    inputs: dict[str, Any] = {
        "columns": column or (),
        "text_only": _read(text_only),
        "vision_only": _read(vision_only),
        "calibration": read_calibration(path.parent),
    }
    predictions = _completed(read_predictions(path), data)
    if full or "perception" in (only or ()):
        if not run.is_dir():
            raise CheckpointError(f"'{run}' is a file; asking the model needs the run folder")
        try:
            inputs |= _ask_stills(run, predictions, device)
        except SettingsError as error:
            if not full:
                raise
            output.say(f"note: {error}")
    document = run_analysis(path, Inputs(predictions, **inputs), only or ())
    for name in only or document["parts"]:
        _show(name, document["parts"][name])
    print(f"analysis: {analysis_path(path)}")
    if run.is_dir() and path.name in ("predictions.jsonl", "predictions_test.jsonl"):
        from mtrans.report.build import build

        print(f"report:   {build(run)}")
    if full:
        _disturb_and_explain(run, device)


def calibrate(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Manifest of the validation clips, answered first.",
            show_default="the run's predictions_val.jsonl",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="temperature keeps every answer; platt also moves them.")
    ] = "temperature",
    device: Device = None,
) -> None:
    """Fit probabilities that mean what they say, on validation clips, and keep them with the run.

    Writes calibration.json; from then on `ask`, `eval` and the API give calibrated probabilities
    (`--raw` gives those of the model). Removing the file undoes it.
    """
    from mtrans.core.calibration import Method, write_calibration
    from mtrans.core.errors import SettingsError, did_you_mean
    from mtrans.measure.rescale import fit_file

    known: dict[str, Method] = {"temperature": "temperature", "platt": "platt"}
    if method not in known:
        raise SettingsError(f"--method {method}: unknown{did_you_mean(method, known)}")
    path = _validation(run, data, device)
    found = fit_file(path, known[method])
    made = output.table("calibration", str(run), text=2)
    made.add_row("method", found.method)
    made.add_row("temperature", f"{1 / found.slope:.3f}")
    for text, added in found.bias.items():
        made.add_row(f"bias of '{text}'", f"{added:+.3f}")
    made.add_row("fitted on", f"{found.n} questions about {found.clips} clips")
    if found.nll_before is not None and found.nll_after is not None:
        made.add_row("-log p of the right one", f"{found.nll_before:.3f} -> {found.nll_after:.3f}")
    output.console().print(made)
    print(f"calibration: {write_calibration(path.parent, found)}")
    print(f"next: mtrans eval {run} --data TEST.jsonl; mtrans analyze {run} --only calibration")


def _read(run: Path | None) -> list[Prediction] | None:
    from mtrans.app.data import predictions_of
    from mtrans.measure.predictions import read_predictions

    return None if run is None else read_predictions(predictions_of(run))


def _completed(predictions: list[Prediction], data: Path | None) -> list[Prediction]:
    """Returns predictions with dialogue and facts of the manifest, where one is given."""
    if data is None:
        return predictions
    from mtrans.app.data import as_samples

    samples = {s.id: s for s in as_samples(data)}
    return [
        dataclasses.replace(
            p,
            context=p.context or samples[p.id].context,
            facts={**samples[p.id].facts, **p.facts},
        )
        if p.id in samples
        else p
        for p in predictions
    ]


def _ask_stills(
    run: Path, predictions: list[Prediction], device: str | None
) -> dict[str, list[Prediction]]:
    """Asks a run's model, and the image model it was adapted from, about stills of its clips.

    Returns:
        ``stills`` and ``image_stills``; the answers are kept in the run.

    Raises:
        SettingsError: No clip's objects are known, or the model sees no clip.
    """
    from mtrans.core.errors import SettingsError

    output.quiet_libraries()
    from mtrans.infer.predictor import load_predictor
    from mtrans.infer.stills import still_questions

    samples = still_questions(predictions)
    if not samples:
        raise SettingsError(
            "no clip's objects are known: perception needs the fact 'things' ('red circle, blue"
            " square') or 'objects' (their number) in the manifest"
        )
    predictor = open_predictor(str(run), device, None)
    settings = predictor.settings
    if not settings.model.vision:
        raise SettingsError(f"'{run}' was given no pictures, so it has nothing to perceive")
    found = {"stills": _kept_answers(run, predictor, samples, "stills")}
    del predictor  # one model in memory at a time
    predictor = load_predictor(settings.backbone, settings=settings, device=device or "auto")
    return found | {"image_stills": _kept_answers(run, predictor, samples, "stills_image_model")}


def _kept_answers(
    run: Path, predictor: Predictor, samples: list[Sample], name: str
) -> list[Prediction]:
    """Answers questions into the run's ``predictions_<name>.jsonl``, and returns the answers."""
    from mtrans.infer.evaluate import evaluate
    from mtrans.measure.predictions import read_predictions
    from mtrans.train.run_folder import RunFolder

    path = RunFolder(run).predictions(name)
    return read_predictions(evaluate(predictor, samples, path, overwrite=True).predictions)


def _disturb_and_explain(run: Path, device: str | None) -> None:
    """Adds to a run's report what disturbs the model and whether its maps can be trusted.

    What is there already, as tested by their own commands, stays.
    """
    from mtrans.app.commands_explain import explain
    from mtrans.app.commands_robustness import robustness
    from mtrans.measure.faith import FAITHFULNESS
    from mtrans.measure.robustness import ROBUSTNESS
    from mtrans.train.run_folder import RunFolder, read_settings

    if not (run / "robustness" / ROBUSTNESS).is_file():
        robustness(str(run), quick=True, device=device)
    sees = read_settings(RunFolder(run).adapter).model.vision
    if sees and not (run / "explain" / FAITHFULNESS).is_file():
        explain(str(run), clips=FULL_CLIPS, device=device)


def _validation(run: Path, data: Path | None, device: str | None) -> Path:
    """Returns the validation predictions of a run, made now where a manifest is given.

    Raises:
        CheckpointError: A model without a run folder, in which nothing can be kept.
        PredictionsError: There are none and no manifest.
    """
    from mtrans.measure.predictions import PredictionsError
    from mtrans.train.run_folder import RunFolder

    if data is None:
        path = RunFolder(run).predictions("val")
        if not path.is_file():
            raise PredictionsError(
                f"'{run}' has no {path.name}; give the validation clips with --data VAL.jsonl"
            )
        return path
    from mtrans.app.data import as_samples
    from mtrans.core.errors import CheckpointError

    samples = as_samples(data)
    output.quiet_libraries()
    from mtrans.infer.evaluate import evaluate
    from mtrans.infer.predictor import find_adapter

    found = find_adapter(run)[1]
    if found is None:
        raise CheckpointError(f"'{run}' is no run folder to keep a calibration in")
    # uncalibrated: what is there may be damaged, and is about to be replaced
    predictor = open_predictor(str(run), device, None, calibrated=False)
    return evaluate(predictor, samples, found.predictions("val"), overwrite=True).predictions


def _show(name: str, part: dict[str, Any]) -> None:
    print(f"{name}:")
    for line in part.get("says", [f"not made: {part.get('missing')}"]):
        print(f"  {line}")
