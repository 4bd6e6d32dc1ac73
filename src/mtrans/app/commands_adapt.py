"""`mtrans adapt`: train a model on labelled clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtrans.app import output
from mtrans.app.models import Device
from mtrans.app.processes import main_process

if TYPE_CHECKING:
    from mtrans.core.records import Sample
    from mtrans.core.settings import RunSettings
    from mtrans.train.run_folder import RunFolder


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
    settings = _build_settings(preset, baseline, config, set_ or (), values)
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
    if main_process():
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

    if val is None or not main_process():
        return
    with output.progress("comparing splits") as step:
        leaks = find_leaks(
            {"train": train, "val": val}, memory=looks_file(settings.cache_dir), progress=step
        )
    heed(leaks, strict=strict, say=output.say)


def _build_settings(
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


def _plan(settings: RunSettings, train: list[Sample], val: list[Sample] | None, out: Path) -> None:
    """Prints what a run would do."""
    from mtrans.core.runtime import pick_device, pick_kept
    from mtrans.data.clips import clips_of
    from mtrans.models.connectors import CONNECTORS
    from mtrans.models.loading import load_backbone
    from mtrans.train.opening import check_inputs
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
    trained, total = (cost.get(f"{name}_parameters", 0) for name in ("trained", "total"))
    made.add_row("trained parameters", f"{trained:,} of {total:,}")
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
