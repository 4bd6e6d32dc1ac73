"""What trains a run: the Trainer, with its order of samples, its validation and its callbacks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from transformers import TrainerCallback

from mtrans.core.records import Sample
from mtrans.core.settings import RunSettings
from mtrans.data.clips import clip_of
from mtrans.data.collate import Collator
from mtrans.data.dataset import ClipDataset
from mtrans.models.loading import Backbone
from mtrans.train.adapter import read_weights, write_adapter
from mtrans.train.arguments import training_arguments
from mtrans.train.callbacks import AnnealCallback, FlowCallback, LogCallback
from mtrans.train.diagnostics import Diagnostics, is_position
from mtrans.train.plan import Plan, plan_steps
from mtrans.train.progress import ProgressCallback
from mtrans.train.run_folder import RunFolder
from mtrans.train.sharding import ShardCallback
from mtrans.train.sources import make_collator
from mtrans.train.stream import RANDOM, Arrangement, split_batch
from mtrans.train.trainer import AdaptTrainer
from mtrans.train.validation import Validator
from mtrans.train.where import Where


def build_trainer(
    run: RunFolder,
    settings: RunSettings,
    where: Where,
    backbone: Backbone,
    train: ClipDataset,
    val: ClipDataset | None,
    progress: bool,
) -> tuple[AdaptTrainer, Diagnostics]:
    """Puts together what trains a run.

    Args:
        run: Its folder, open.
        settings: Its settings.
        where: What it is computed on.
        backbone: Carries the adapter.
        train: Training samples.
        val: Validation samples; None validates never.
        progress: Show progress.

    Returns:
        The Trainer, and what looks into the model for it; both are to be closed.
    """
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
    callbacks = _callbacks(run, settings, plan, diagnostics)
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


def _callbacks(
    run: RunFolder, settings: RunSettings, plan: Plan, diagnostics: Diagnostics
) -> list[TrainerCallback]:
    """Returns the callbacks that every run has, wherever it is computed."""
    callbacks: list[TrainerCallback] = [
        FlowCallback(plan, settings.train.patience),
        LogCallback(run.log_file, run.tensorboard, plan.per_epoch),
    ]
    if settings.model.routing_choice == "hard" and diagnostics.routers:
        start, end = settings.model.routing_temperature, settings.model.routing_temperature_end
        callbacks.append(
            AnnealCallback(diagnostics.set_temperature, start=start, end=end, total=plan.total)
        )
    return callbacks


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
