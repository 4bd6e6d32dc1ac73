"""Operations of runs that did not count them: of a training of one step with the same settings.

Runs made before operations were counted have no ``training_flops`` in their run.json. They are the
same for every run of a contender: torch counts them on the first training question, whatever the
weights are. So one step is trained into a temporary folder, and its count is entered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mtrans.study.collect import choose
from mtrans.study.jobs import CACHE, Job
from mtrans.study.plan import StudyPlan
from mtrans.train.run_folder import RunFolder

COUNTED = ("training_flops", "backward_share")
"""Entries of a run's cost that are the same for all seeds."""


def count_missing(
    plan: StudyPlan, folder: Path, say: Callable[[str], None] = print
) -> dict[str, float]:
    """Enters the operations of finished runs that lack them.

    Args:
        plan: The study.
        folder: Its folder.
        say: Told of each run that is counted.

    Returns:
        Run -> operations of one clip in a training step, of those that were entered.

    Raises:
        ManifestError: A manifest is missing or damaged.
        VideoError: The first training clip can't be read.
    """
    entered: dict[str, float] = {}
    for variant in plan.variants():
        chosen = choose(plan, variant, folder)[0]
        if chosen is None:
            continue
        known: dict[str, float] = {}
        for seed in plan.seeds:
            job = plan.job(variant, chosen, seed, folder)
            run = RunFolder(folder / job.name)
            if run.state() != "finished":
                continue
            cost = run.info().get("cost") or {}
            if cost.get("training_flops") is not None:
                continue
            known = known or _count(job, run, folder)
            run.update(cost={**cost, **known})
            entered[job.name] = known["training_flops"]
            say(f"{job.name}: {known['training_flops'] / 1e9:.3g} G")
    return entered


def _count(job: Job, run: RunFolder, folder: Path) -> dict[str, float]:
    from mtrans.train.adapt import adapt

    settings = run.settings()
    short = replace(
        settings.train,
        max_steps=1,
        batch_size=1,
        micro_batch_size=None,
        evaluate_every=None,
        keep_best=False,
    )
    with tempfile.TemporaryDirectory() as place:
        made = adapt(
            replace(settings, train=short, cache_dir=str(folder.resolve() / CACHE)),
            job.split("train")[:1],
            None,
            Path(place) / "run",
            progress=False,
        )
        cost = made.info()["cost"]
    return {name: cost[name] for name in COUNTED}
