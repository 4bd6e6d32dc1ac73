"""The end of a run: the adapter in its place, what it cost, and the mark that it is finished."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from typing import Any, cast

import torch

from mtrans.core.files import read_jsonl
from mtrans.core.records import middling
from mtrans.core.screen import say
from mtrans.core.settings import RunSettings
from mtrans.data.cache import FeatureCache
from mtrans.data.clips import BadClip
from mtrans.models.flops import count_flops
from mtrans.models.loading import Backbone
from mtrans.train.adapter import write_adapter
from mtrans.train.circumstances import now
from mtrans.train.cost import Cost, count_parameters, peak_memory
from mtrans.train.plan import best_validation, out_of_patience
from mtrans.train.run_folder import RunFolder
from mtrans.train.trainer import AdaptTrainer
from mtrans.train.validation import to_device
from mtrans.train.where import Where


def close_run(
    run: RunFolder,
    settings: RunSettings,
    where: Where,
    trainer: AdaptTrainer,
    backbone: Backbone,
    *,
    bad: Sequence[BadClip],
    seconds: float,
    prepared: float,
) -> None:
    """Writes the adapter and what came of the run, and marks it finished.

    Args:
        run: The run folder.
        settings: Of the run.
        where: What it was computed on.
        trainer: That has trained; the best adapter, or the last one, is in the model.
        backbone: Carries the adapter.
        bad: Clips that were left out.
        seconds: Wall clock of training in this process.
        prepared: Wall clock of filling the feature cache.
    """
    backbone.model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    backbone.model.eval()
    if where.team.main:
        partial = run.path / "adapter.part"
        for old in (partial, run.adapter):
            shutil.rmtree(old, ignore_errors=True)
        write_adapter(partial, backbone, settings)
        partial.replace(run.adapter)
        trained, total = count_parameters(backbone.model)
        memory, kind = peak_memory(where.device)
        log = read_jsonl(run.log_file)
        flops, back = _operations(trainer, backbone, where)
        cost = Cost(
            trained_parameters=trained,
            total_parameters=total,
            train_seconds=log[-1]["seconds"] if log else round(seconds, 3),
            seconds_per_step=round(trainer.seconds_per_step(seconds), 5),
            steps=trainer.state.global_step,
            peak_memory_mb=round(memory, 1),
            memory_kind=kind,
            visual_tokens=backbone.base.visual_tokens(settings.frames.count),
            prepare_seconds=round(prepared, 3),
            training_flops=flops,
            backward_share=back,
        )
        best = best_validation(trainer.state.log_history)
        _look_at_all(trainer)
        run.update(
            status="finished",
            process=None,  # nobody is at it any more, and whose machine it was is nobody's business
            finished=now(),
            steps=trainer.state.global_step,
            stopped_early=out_of_patience(trainer.state.log_history, settings.train.patience),
            best=dataclasses.asdict(best) if best else None,
            skipped=[{**b.clip._asdict(), "reason": b.reason, "samples": list(b.ids)} for b in bad],
            cut_texts=dict(cast(Any, trainer.data_collator).cut),
            backbone={"name": backbone.name, "weights": backbone.hash},
            processes=where.team.processes,
            cost=dataclasses.asdict(cost),
        )
        if short := cast(Any, trainer.data_collator).heed_short():
            say(short)
    if not where.team.alone:
        torch.distributed.barrier()


def _look_at_all(trainer: AdaptTrainer) -> None:
    """Has the collator see every text and clip: loaders' workers and other processes count apart.

    Not the clips of a training without a cache, whose frames would have to be decoded for it.
    """
    collate = cast(Any, trainer.data_collator)
    shown = collate.settings.model.vision
    for data in (trainer.samples, getattr(trainer.validate, "samples", None)):
        source = getattr(data, "source", None)
        for sample in getattr(data, "samples", ()):
            collate.text_ids(sample)
            if shown and isinstance(source, FeatureCache) and sample.video is not None:
                collate.heed_times(sample, source.times(sample))


def _operations(
    trainer: AdaptTrainer, backbone: Backbone, where: Where
) -> tuple[float | None, float | None]:
    """Returns the operations of one clip in a step, and the share of them that is backward.

    Of the question of middling length among the training data. Not of a sharded model: there all
    processes would have to count, and count together.
    """
    if where.sharded:
        return None, None
    asked = trainer.samples[middling(cast(Any, trainer.samples).samples)]
    batch = to_device(cast(Any, trainer.data_collator)([asked]), where.device)
    with torch.autocast(where.device.type, torch.bfloat16, enabled=where.bf16):
        counted = count_flops(backbone.model, batch, backward=True)
    total = counted["all"] + counted["backward"]
    return total, round(counted["backward"] / total, 4)
