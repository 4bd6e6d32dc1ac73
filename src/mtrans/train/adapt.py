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
from collections.abc import Sequence
from pathlib import Path

import torch

from mtrans.core.errors import VideoError
from mtrans.core.memory import forget_peak, keep_freed_memory
from mtrans.core.records import Sample
from mtrans.core.screen import say
from mtrans.core.settings import RunSettings
from mtrans.data.dataset import ClipDataset
from mtrans.models.budget import fit_budget
from mtrans.models.loading import Backbone
from mtrans.models.lora import trainable_parameters
from mtrans.train.adapter import fresh_backbone
from mtrans.train.building import build_trainer
from mtrans.train.circumstances import describe_data
from mtrans.train.closing import close_run
from mtrans.train.cost import device_name
from mtrans.train.opening import check_inputs, open_run, set_aside
from mtrans.train.plan import best_validation
from mtrans.train.run_folder import RunFolder, RunState
from mtrans.train.sharding import without_accelerates_own
from mtrans.train.sources import one_line, open_source, usable
from mtrans.train.trainer import AdaptTrainer
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
    try:
        with without_accelerates_own():
            _adapt(settings, where, run, train, val, backbone, progress)
    finally:
        if where.team.main:
            run.leave()
    return run


def note_budget(settings: RunSettings, backbone: Backbone, show: bool) -> None:
    """Says so where `model.budget` is missed by more than a twentieth."""
    wanted = settings.model.budget
    if wanted is None:
        return
    found = trainable_parameters(backbone.model)["total"]
    if abs(found - wanted) > wanted / 20:
        words = "the nearest its size can be turned to"
        if backbone.base.answers_itself:
            words = "its classifier grows with the answers of the training data"
        say(
            f"model.budget={wanted:,}: model.connector={settings.model.connector} trains {found:,}"
            f" parameters, {words}",
            show,
        )


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
    forget_peak()  # one process may train run after run
    if where.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where.device)
    backbone = fresh_backbone(settings, backbone, where.device, train, hold_llm=where.sharded)
    if backbone.base.needs_pixels and settings.train.use_cache:
        words = f"model.connector={settings.model.connector} works inside the ViT"
        say(f"{words}: the ViT runs in every step, the feature cache is not used", where.team.main)
    note_budget(settings, backbone, where.team.main)
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
    trainer, diagnostics = build_trainer(
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
