"""What runs cost beyond training: an answer, and what old runs did not count.

Every run of a study is asked a few questions alone once it has answered the test. Runs made before
operations were counted have no ``training_flops`` in their run.json. They are the same for every
run of a contender: torch counts them on the first training question, whatever the weights are. So
one step is trained into a temporary folder, and its count is entered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtrans.core.records import Sample, middling
from mtrans.study.collect import choose
from mtrans.study.jobs import CACHE, Job, measurable
from mtrans.study.plan import StudyPlan
from mtrans.train.run_folder import RunFolder

if TYPE_CHECKING:
    from mtrans.infer.predictor import Predictor

COUNTED = ("training_flops", "backward_share")
"""Entries of a run's cost that are the same for all seeds."""

TIMED = ("first_token_ms", "answer_ms", "answer_flops")
"""Entries that are those of an answer."""

ASKED = 5
"""Questions that are asked alone; the median counts."""


def time_answers(run: RunFolder, predictor: Predictor, samples: Sequence[Sample]) -> None:
    """Enters into run.json what an answer costs, if it is not there yet.

    Args:
        run: A finished run.
        predictor: Its model.
        samples: Questions with clips that can be read; some are taken, evenly.
    """
    from mtrans.infer.latency import answer_cost

    cost = run.info().get("cost") or {}
    if cost.get(TIMED[0]) is not None:
        return
    places = np.linspace(0, len(samples) - 1, ASKED).astype(int)
    # operations grow with the text alone, so those of the middling one are their median
    counted = places[middling([samples[place] for place in places])]
    answer_cost(predictor, samples, count=False, warm=True)  # only to warm it up
    found = [
        made
        for place in places
        if (made := answer_cost(predictor, samples[place:], count=place == counted, warm=True))
    ]
    medians = {}
    for name in TIMED:
        values = [value for cost in found if (value := getattr(cost, name)) is not None]
        medians[name] = round(float(np.median(values)), 3) if values else None
    run.update(cost={**cost, **medians})


def fill_costs(plan: StudyPlan, folder: Path, say: Callable[[str], None] = print) -> list[str]:
    """Enters what finished runs lack: operations of training, time and operations of an answer.

    Args:
        plan: The study.
        folder: Its folder.
        say: Told of each run that lacked something.

    Returns:
        The runs that lacked something.

    Raises:
        ManifestError: A manifest is missing or damaged.
        VideoError: The first training clip can't be read.
    """
    filled = []
    for variant in plan.variants():
        chosen = choose(plan, variant, folder)[0]
        counted: dict[str, float] = {}
        for seed in plan.seeds if chosen is not None else ():
            job = plan.job(variant, chosen or {}, seed, folder)
            run = RunFolder(folder / job.name)
            if not measurable(run):
                continue
            cost = run.info().get("cost") or {}
            lacks = [name for name in (COUNTED[0], TIMED[0]) if cost.get(name) is None]
            if COUNTED[0] in lacks:
                counted = counted or _count(job, run, folder)
                run.update(cost={**cost, **counted})
            if TIMED[0] in lacks:
                _time(job, run)
            if lacks:
                filled.append(job.name)
                say(f"{job.name}: {', '.join(lacks)}")
    return filled


def _time(job: Job, run: RunFolder) -> None:
    from mtrans.infer.predictor import load_predictor

    time_answers(run, load_predictor(run.path), job.split("test"))


def _count(job: Job, run: RunFolder, folder: Path) -> dict[str, float]:
    from mtrans.train.adapt import adapt

    settings, asked = run.settings(), job.split("train")
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
            [asked[middling(asked)]],
            None,
            Path(place) / "run",
            progress=False,
        )
        cost = made.info()["cost"]
    return {name: cost[name] for name in COUNTED}
