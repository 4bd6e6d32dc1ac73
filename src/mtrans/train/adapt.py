"""Adaptation: from settings and samples to a run folder with an adapter in it.

    settings, train, val -> open_run (new, resume, or done)
      -> load_backbone, fresh adapter (seeded) -> feature cache -> AdaptTrainer
      -> adapter/, run.json

`torchrun` and `accelerate launch` start several processes that all call :func:`adapt`; each step's
batch is shared between them (docs/training.md has the lines). Torch's number of CPU threads is left
alone: set OMP_NUM_THREADS, and keep the threads of all runs on a machine within its cores; beyond
that a step takes several times as long.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import ManifestError, SettingsError, VideoError
from mtrans.core.memory import keep_freed_memory
from mtrans.core.records import Sample
from mtrans.core.settings import RunSettings
from mtrans.data.clips import clip_of
from mtrans.data.collate import Collator
from mtrans.data.dataset import ClipDataset
from mtrans.models.budget import fit_budget
from mtrans.models.loading import Backbone
from mtrans.train.adapter import fresh_backbone, read_weights, write_adapter
from mtrans.train.arguments import training_arguments
from mtrans.train.callbacks import AnnealCallback, FlowCallback, LogCallback
from mtrans.train.circumstances import describe_data
from mtrans.train.closing import close_run, say
from mtrans.train.cost import device_name
from mtrans.train.diagnostics import Diagnostics, is_position
from mtrans.train.opening import open_run, set_aside
from mtrans.train.plan import best_validation, plan_steps
from mtrans.train.progress import ProgressCallback
from mtrans.train.run_folder import RunFolder, RunState
from mtrans.train.sharding import ShardCallback, without_accelerates_own
from mtrans.train.sources import make_collator, one_line, open_source, usable
from mtrans.train.stream import RANDOM, Arrangement, split_batch
from mtrans.train.trainer import AdaptTrainer
from mtrans.train.validation import Validator
from mtrans.train.where import Where, find_where


def adapt(
    settings: RunSettings,
    train: Sequence[Sample],
    val: Sequence[Sample] | None,
    out: str | Path,
    *,
    resume: bool = True,
    backbone: Backbone | None = None,
    progress: bool = True,
) -> RunFolder:
    """Adapts a backbone to labelled clips.

    Args:
        settings: Everything that determines the run; with `model.budget` the sizes are chosen for
            it first (:func:`mtrans.models.budget.fit_budget`).
        train: Training samples, each with its answer.
        val: Validation samples for early stopping and the choice of the best adapter.
        out: The run folder. An unfinished run with the same settings and data is resumed, a
            finished one is left as it is.
        resume: Whether a run that is there goes on; otherwise it is moved to ``<out>.old-<n>``,
            finished or not and whatever its settings, and a new one starts.
        backbone: A loaded backbone without an adapter, whose switches are `settings.model`; it
            carries the adapter afterwards. None loads `settings.backbone`.
        progress: Show progress on standard error.

    Returns:
        The run folder.

    Raises:
        CheckpointError: `out` holds another run, or the backbone can't be loaded.
        SettingsError: The settings contradict each other, the data or the machine.
        ManifestError: There is no training sample, or one without an answer.
        VideoError: A clip can't be read, and `train.skip_bad` is off.
        TrainingDiverged: The loss is not a number.
    """
    check_inputs(settings, train, val)
    keep_freed_memory()
    settings = fit_budget(settings)
    where = find_where(settings)
    progress = progress and where.team.main
    run, state = _open_together(where, Path(out), settings, train, val, resume)
    if state == "finished":
        say(
            f"'{run.path}' is finished; nothing to do (to train again: --fresh, or resume=False)",
            progress,
        )
        return run
    with without_accelerates_own():
        _adapt(settings, where, run, train, val, backbone, progress)
    return run


def _adapt(
    settings: RunSettings,
    where: Where,
    run: RunFolder,
    train: Sequence[Sample],
    val: Sequence[Sample] | None,
    backbone: Backbone | None,
    progress: bool,
) -> None:
    """Trains a run that is open, and closes it."""
    backbone = fresh_backbone(settings, backbone, where.device, train, hold_llm=where.sharded)
    if backbone.base.needs_pixels and settings.train.use_cache:
        words = f"model.connector={settings.model.connector} works inside the ViT"
        say(f"{words}: the ViT runs in every step, the feature cache is not used", where.team.main)
    started = time.monotonic()
    samples = [*train, *(val or ())]
    try:
        source, bad = open_source(
            backbone,
            settings,
            samples,
            device=where.device,
            progress=progress,
            team=where.team,
        )
    except VideoError as error:
        raise _with_way_out(error, settings) from None
    prepared = time.monotonic() - started
    if bad:
        say(f"left out {len(bad)} clips that can't be read, listed in run.json", where.team.main)
    trainer, diagnostics = _build(
        run,
        settings,
        where,
        backbone,
        ClipDataset(usable(train, bad, "training"), settings, source),
        ClipDataset(usable(val, bad, "validation"), settings, source) if val else None,
        progress,
    )
    try:
        seconds = _train(trainer, run, settings)
    except VideoError as error:
        raise _with_way_out(one_line(error), settings) from None
    finally:
        diagnostics.close()
        trainer.close()
    close_run(
        run,
        settings,
        where,
        trainer,
        backbone,
        bad=bad,
        seconds=seconds,
        prepared=prepared,
    )


def _with_way_out(error: VideoError, settings: RunSettings) -> VideoError:
    """Returns the error of a clip that can't be read, with what leaves such clips out."""
    if settings.train.skip_bad:
        return error
    return VideoError(f"{error}; --skip-bad (train.skip_bad=true) leaves out such clips")


def check_inputs(
    settings: RunSettings, train: Sequence[Sample], val: Sequence[Sample] | None
) -> None:
    """Finds what can be found wrong before anything is loaded.

    Raises:
        ManifestError: There is no training sample, or a sample without an answer.
        SettingsError: Early stopping without validation data, or an LLM in the machine's memory
            that a backward pass would bring to the device whole.
    """
    if not train:
        raise ManifestError("there is no training sample; give a manifest with at least one line")
    for split, samples in (("training", train), ("validation", val or ())):
        for sample in samples:
            if sample.answer is None:
                raise ManifestError(
                    f"{split} sample '{sample.id}' has no answer; training needs one in each"
                )
    if settings.train.patience is not None and not val:
        raise SettingsError(
            f"train.patience={settings.train.patience} stops by validation, but there is no"
            " validation data; give --val"
        )
    if settings.offload == "llm" and not settings.train.gradient_checkpointing:
        raise SettingsError(
            "offload=llm saves no memory in training without train.gradient_checkpointing=true:"
            " the backward pass keeps every weight; set it, or offload=none"
        )


def _open_together(
    where: Where,
    path: Path,
    settings: RunSettings,
    train: Sequence[Sample],
    val: Sequence[Sample] | None,
    resume: bool,
) -> tuple[RunFolder, RunState]:
    """Opens the run folder in the main process and tells the others, errors included."""

    def opened() -> RunState:
        data = {"train": describe_data(train), **({"val": describe_data(val)} if val else {})}
        moved = None if resume else set_aside(path)
        if moved is not None:
            say(f"the run in '{path}' is '{moved}' now; a new one starts")
        left = resume and RunFolder(path).abandoned()
        state = open_run(path, settings, data, device=device_name(where.device))[1]
        if left:
            say(f"'{path}' held a run that never reached a checkpoint; this one takes its place")
        return state

    return RunFolder(path), where.team.in_main(opened)


def _arrangement(
    settings: RunSettings, samples: Sequence[Sample], collate: Collator
) -> Arrangement:
    """Returns what `train.order` asks the order of samples to heed."""
    if settings.train.order == "length":
        return Arrangement(lengths=[collate.length(sample) for sample in samples])
    if settings.train.order == "clip":
        clips: list[Hashable] = [s.id if s.video is None else clip_of(s) for s in samples]
        return Arrangement(clips=clips)
    return RANDOM


def _build(
    run: RunFolder,
    settings: RunSettings,
    where: Where,
    backbone: Backbone,
    train: ClipDataset,
    val: ClipDataset | None,
    progress: bool,
) -> tuple[AdaptTrainer, Diagnostics]:
    options = settings.train
    plan = plan_steps(len(train), options, validate=val is not None)
    micro, accumulate = split_batch(options, where.team.processes)
    collate = make_collator(backbone, settings, share=True)
    validator = None
    if val is not None:
        validator = Validator(
            backbone.base,
            collate,
            val,
            batch_size=4 * micro,
            device=where.device,
            bf16=where.bf16,
            team=where.team,
            in_step=where.sharded,
        )
    diagnostics = Diagnostics(backbone.model)
    callbacks: list[Any] = [
        FlowCallback(plan, options.patience),
        LogCallback(run.log_file, run.tensorboard, plan.per_epoch),
    ]
    if settings.model.routing_choice == "hard" and diagnostics.routers:
        start, end = settings.model.routing_temperature, settings.model.routing_temperature_end
        callbacks.append(
            AnnealCallback(diagnostics.set_temperature, start=start, end=end, total=plan.total)
        )
    if where.sharded:
        callbacks.append(ShardCallback(backbone.base, where.device, where.team))
    if progress:
        callbacks.append(ProgressCallback(plan.total))
    trainer = AdaptTrainer(
        model=backbone.model,
        arguments=training_arguments(
            options,
            folder=run.checkpoints,
            steps=plan.total,
            device=where.device,
            bf16=where.bf16,
            micro_batch=micro,
            accumulate=accumulate,
            # with few frames other designs may have relations that nothing goes through
            all_used=settings.model.connector == "mqt",
        ),
        settings=options,
        plan=plan,
        run=run,
        dataset=train,
        collate=collate,
        is_position=is_position,
        save_adapter=lambda folder: write_adapter(folder, backbone, settings),
        load_adapter=lambda folder: read_weights(folder, backbone),
        validate=validator,
        diagnose=diagnostics.values,
        callbacks=callbacks,
        arrangement=_arrangement(settings, train.samples, collate),
    )
    return trainer, diagnostics


def _train(trainer: AdaptTrainer, run: RunFolder, settings: RunSettings) -> float:
    """Trains to the end, and returns the seconds of this process."""
    started = time.monotonic()
    checkpoint = run.last_checkpoint()
    if checkpoint is not None and trainer.stopped_at(checkpoint):
        trainer.take_up(checkpoint)  # killed after the last step, before the run was closed
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    best = best_validation(trainer.state.log_history)
    if settings.train.keep_best and best is not None:
        trainer.load_adapter(run.checkpoints / f"best-{best.step}")
    return time.monotonic() - started
