"""`mtrans adapt`, `mtrans eval`, `mtrans ask`: train a model, measure it, ask it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtrans.app import output

if TYPE_CHECKING:
    from mtrans.core.records import Sample, Turn
    from mtrans.core.settings import RunSettings
    from mtrans.infer.predictor import Predictor
    from mtrans.train.run_folder import RunFolder

Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", show_default="auto")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="One setting of a backbone that is not adapted, key=value; a run has its own but for"
        " cache_dtype and cache_dir.",
    ),
]

FREE = ("cache_dtype", "cache_dir")
"""Settings of a run that are free after training: where and how finely features are kept."""

Raw = Annotated[
    bool, typer.Option("--raw", help="Leave probabilities as the model gives them, uncalibrated.")
]


def adapt(
    data: Annotated[Path, typer.Option(help="Manifest of the training clips.")],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    backbone: Annotated[
        str | None,
        typer.Option(help="tiny, a folder, or a published checkpoint.", show_default="tiny"),
    ] = None,
    val: Annotated[Path | None, typer.Option(help="Manifest of the validation clips.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="mtrans, or paper for every published choice.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="A contender instead; `mtrans study contenders` lists them.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting, key=value; `mtrans settings` lists them."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed.", show_default="0")] = None,
    device: Device = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out clips that can't be read, listing them.")
    ] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Decode and encode every clip in every epoch.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where --data and --val share clips or speakers.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and stop.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--fresh",
            help="Go on with the run in --out, or move it to OUT.old-1 (-2, ...) and start anew.",
        ),
    ] = True,
) -> None:
    """Adapt an image model to video with labelled clips.

    Stopped at any point, even killed, the same command goes on from the last checkpoint. The run
    folder then holds the adapter (PEFT), every setting, versions, data hashes and learning curves.
    """
    from mtrans.app.data import as_samples, check_model

    values: dict[str, Any] = {
        "backbone": backbone,
        "device": device,
        "train.seed": seed,
        "train.skip_bad": True if skip_bad else None,
        "train.use_cache": False if no_cache else None,
    }
    settings = build_settings(preset, baseline, config, set_ or (), values)
    check_model(settings.backbone)
    train = as_samples(data)
    held_out = as_samples(val) if val is not None else None
    output.quiet_libraries()
    _heed_leaks(settings, train, held_out, strict)
    if dry_run:
        _plan(settings, train, held_out, out)
        return
    from mtrans.interop.cards import write_card
    from mtrans.train.adapt import adapt as run_adapt

    run = run_adapt(settings, train, held_out, out, resume=resume)
    if _main_process():
        write_card(run.path)
        _summary(run)


def _heed_leaks(
    settings: RunSettings, train: list[Sample], val: list[Sample] | None, strict: bool
) -> None:
    """Warns of what training and validation share; once where several processes train.

    What the clips look like is kept in the cache folder: no run decodes them again for this.
    """
    from mtrans.data.leaks import find_leaks, heed
    from mtrans.data.looks import looks_file

    if val is None or not _main_process():
        return
    with output.progress("comparing splits") as step:
        leaks = find_leaks(
            {"train": train, "val": val}, memory=looks_file(settings.cache_dir), progress=step
        )
    heed(leaks, strict=strict, say=output.say)


def build_settings(
    preset: str | None,
    baseline: str | None,
    config: Path | None,
    overrides: list[str] | tuple[str, ...],
    values: dict[str, Any],
) -> RunSettings:
    """Returns the settings that the options mean; options win over the file.

    Raises:
        SettingsError: Unknown name, wrong type, a contradiction, or a preset that the file denies.
    """
    from mtrans.core.errors import SettingsError
    from mtrans.core.settings import load_settings

    settings = load_settings(
        preset=preset or "mtrans",
        baseline=baseline,
        file=config,
        overrides=overrides,
        values={k: v for k, v in values.items() if v is not None},
    )
    if preset is not None and settings.preset != preset:
        raise SettingsError(
            f"--preset {preset}, but {config} says preset: {settings.preset}; keep one of the two"
        )
    return settings


def evaluate(
    model: Annotated[str, typer.Argument(help="A run folder, an adapter folder, or a backbone.")],
    data: Annotated[Path, typer.Option(help="Manifest of the questions.")],
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

    Writes predictions.jsonl (all later measuring needs only that) and scores.json beside it.
    Intervals are 95 % bootstrap intervals over videos. Clips that can't be read count as wrong.
    Probabilities are calibrated where `mtrans calibrate` was run; log_likelihoods never are.
    hf:MODEL is any image-text-to-text model that transformers loads, untrained: it gets our frames
    and listed candidates, and what it writes is read by our parser.
    """
    from mtrans.app.data import as_samples, check_model, has_answers
    from mtrans.core.errors import SettingsError

    if split_name is not None and out is not None:
        raise SettingsError("--split-name names a file in the run folder; leave it or --out away")
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
    if not _main_process():
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
    print_scores(scores, f"{model} on {data}")
    if cost is not None:
        print(
            f"one answer: {cost.first_token_ms:.0f} ms to the first token, {cost.answer_ms:.0f} ms"
            f" in all; {cost.visual_tokens} visual tokens; {(cost.answer_flops or 0) / 1e9:.3g}"
            f" GFLOPs; peak memory {output.size(cost.peak_memory_mb * 2**20)}"
        )
    print(f"predictions: {done.predictions}\nscores:      {scores_path(done.predictions)}")


def _open_foreign(
    model: str, device: str | None, overrides: list[str] | None, likelihood: bool
) -> Predictor:
    """Loads a model of another kind, to answer under our frames and prompt."""
    from mtrans.core.settings import load_settings
    from mtrans.infer.foreign import load_foreign

    settings = load_settings(overrides=overrides or [])
    return load_foreign(model, settings, device=device or "auto", likelihood=likelihood)


def open_predictor(
    model: str, device: str | None, overrides: list[str] | None, *, calibrated: bool = True
) -> Predictor:
    """Loads whatever can answer; a backbone that is not adapted with the settings given.

    Raises:
        SettingsError: Settings for a run: it answers under those it was trained with.
        CheckpointError: There is no such model.
    """
    from mtrans.core.errors import SettingsError
    from mtrans.core.settings import load_settings
    from mtrans.infer.predictor import find_adapter, load_predictor

    if not overrides:
        return load_predictor(model, device=device or "auto", calibrated=calibrated)
    settings = load_settings(overrides=overrides)
    if find_adapter(Path(model))[0] is None:
        return load_predictor(model, settings=settings, device=device or "auto")
    names = [text.partition("=")[0].strip() for text in overrides]
    fixed = [text for text, name in zip(overrides, names, strict=True) if name not in FREE]
    if fixed:
        raise SettingsError(
            f"--set {fixed[0]}: '{model}' is adapted and answers under the settings it was"
            f" trained with, but for {' and '.join(FREE)}; leave --set away, or adapt with that"
            " setting"
        )
    predictor = load_predictor(model, device=device or "auto", calibrated=calibrated)
    own = {name: getattr(settings, name) for name in names}
    predictor.settings = dataclasses.replace(predictor.settings, **own)
    return predictor


def predictions_file(out: Path | None) -> Path | None:
    """Returns the predictions' file that `--out` means: itself, or the usual name in a folder."""
    if out is None or (out.suffix == ".jsonl" and not out.is_dir()):
        return out
    return out / "predictions.jsonl"


def print_scores(scores: Any, title: str) -> None:
    """Prints scores over everything and by question type."""
    console = output.console()
    console.print(output.scores_table(scores, title))
    by_type = output.slices_table(scores, "type", "by question type")
    if by_type is not None:
        console.print(by_type)


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
    """Returns a dialogue turn of ``speaker: text``, or of text alone."""
    from mtrans.core.records import Turn

    speaker, colon, said = text.partition(":")
    return Turn(said.strip(), speaker.strip()) if colon and said.strip() else Turn(text.strip())


def _plan(settings: RunSettings, train: list[Sample], val: list[Sample] | None, out: Path) -> None:
    """Prints what a run would do."""
    from mtrans.core.runtime import pick_device, pick_kept
    from mtrans.data.clips import clips_of
    from mtrans.models.connectors import CONNECTORS
    from mtrans.models.loading import load_backbone
    from mtrans.train.adapt import check_inputs
    from mtrans.train.plan import plan_steps
    from mtrans.train.sources import feature_cache

    check_inputs(settings, train, val)
    device = pick_device(settings.device)
    options, seen = settings.train, [*train, *(val or ())]
    plan = plan_steps(len(train), options, validate=val is not None)
    made = output.table("what would be done", "", title=f"{settings.backbone} -> {out}", text=2)
    made.add_row("training samples", str(len(train)))
    made.add_row("validation samples", str(len(val or ())))
    made.add_row("clips", str(len(clips_of(seen))))
    made.add_row("steps", f"{plan.total} of {options.batch_size} samples")
    if not settings.model.vision:
        made.add_row("features", "none: the text-only control reads no video")
    elif not options.use_cache or CONNECTORS.get(settings.model.connector).needs_pixels:
        made.add_row("features", "computed in every epoch; no cache")
    else:
        kept = pick_kept(settings.dtype, device, precision=options.precision)
        backbone = load_backbone(
            settings.backbone,
            settings.model,
            device=device,
            dtype=kept.dtype,
            mixed=kept.mixed,
            quantize=settings.quantize,
        )
        cache = feature_cache(backbone, settings)
        estimate = cache.estimate(seen)
        made.add_row("features to compute", f"{estimate.missing} of {estimate.clips} clips")
        made.add_row("cache would grow by", f"at most {output.size(estimate.bytes)}")
        made.add_row("cache folder", str(cache.folder))
    output.console().print(made)


def _summary(run: RunFolder) -> None:
    info = run.info()
    cost, best = info.get("cost", {}), info.get("best")
    made = output.table("run", str(run.path), text=2)
    made.add_row("trained parameters", f"{cost.get('trained_parameters', 0):,}")
    made.add_row("visual tokens a clip", str(cost.get("visual_tokens", output.DASH)))
    made.add_row("steps", str(info.get("steps", output.DASH)))
    each = f"{1000 * cost.get('seconds_per_step', 0):.0f} ms a step"
    made.add_row("training", f"{cost.get('train_seconds', 0):.1f} s, {each}")
    if cost.get("training_flops"):
        share = output.percent(cost.get("backward_share"))
        words = f"{cost['training_flops'] / 1e9:.3g} G, {share} % of it backward"
        made.add_row("operations of a clip in a step", words)
    if cost.get("peak_memory_mb"):
        made.add_row("peak memory", output.size(cost["peak_memory_mb"] * 2**20))
    if best:
        accuracy = best.get("accuracy")
        right = f"accuracy {output.percent(accuracy)} %, " if accuracy is not None else ""
        made.add_row("best validation", f"{right}loss {best['loss']:.3f}, step {best['step']}")
    if info.get("skipped"):
        made.add_row("clips left out", f"{len(info['skipped'])}, listed in run.json")
    output.console().print(made)
    print(f"next: mtrans eval {run.path} --data TEST.jsonl")


def _main_process() -> bool:
    """Whether this is the one process of several that speaks."""
    if os.environ.get("RANK", "0") != "0" and int(os.environ.get("WORLD_SIZE") or 1) > 1:
        return False  # before the processes have met
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return True
    return bool(distributed.get_rank() == 0)
