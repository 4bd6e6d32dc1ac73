"""What a study found: run folders -> rows with intervals, measured from their predictions alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.core.files import write_text
from mtrans.core.records import Prediction, Score
from mtrans.measure.apply import main_metrics, measure
from mtrans.measure.compare import Comparison, compare
from mtrans.measure.intervals import Cluster
from mtrans.measure.predictions import read_predictions
from mtrans.study.jobs import StudyError, measurable
from mtrans.study.plan import StudyPlan, Variant
from mtrans.study.plan_file import plan_to_dict
from mtrans.train.run_folder import RunFolder

SCHEMA = 1
"""Version of the layout of ``results.json``."""

COSTS = (
    "visual_tokens",
    "trained_parameters",
    "train_seconds",
    "seconds_per_step",
    "peak_memory_mb",
    "training_flops",
)
"""Entries of run.json's cost that are averaged over the seeds."""


@dataclass(frozen=True)
class Trial:
    """A candidate of the search, on validation with the first seed.

    Attributes:
        values: The settings tried.
        accuracy: Best validation accuracy; None for open answers, or where the run is not done.
        loss: Its loss; None where the run is not done.
    """

    values: dict[str, Any]
    accuracy: float | None
    loss: float | None


@dataclass(frozen=True)
class Row:
    """One contender at one point of the grid, over all its seeds.

    Attributes:
        data: The data set.
        contender: Its name.
        point: What is varied, with its value here.
        chosen: What was searched, with the value chosen.
        trials: The candidates, where there was more than one.
        seeds: The seeds measured; none for what is not trained (majority, shortcut floor).
        overall: The score on all questions, interval clustered by video with all its seeds.
        motion: The same on the questions about motion; None where there are none.
        types: The same by question type.
        spread: Standard deviation over seeds of the overall score; None for a single seed.
        reference: The row that it is compared with; None for the first.
        against: Overall score minus the reference's, paired over the seeds both have.
        against_motion: The same on the questions about motion.
        cost: Means over seeds of :data:`COSTS`.
    """

    data: str
    contender: str
    point: dict[str, Any]
    chosen: dict[str, Any]
    trials: list[Trial]
    seeds: list[int]
    overall: Score
    motion: Score | None
    types: dict[str, Score]
    spread: float | None
    reference: str | None
    against: Comparison | None
    against_motion: Comparison | None
    cost: dict[str, float]


@dataclass(frozen=True)
class Results:
    """A study's results.

    Attributes:
        plan: What was planned.
        rows: In the plan's order; rows without a finished run are left out.
        missing: Runs that are not done, by name.
        about: What the numbers are, in place of the plan's own words.
    """

    plan: StudyPlan
    rows: list[Row]
    missing: list[str] = field(default_factory=list)
    about: str | None = None

    def of(self, data: str) -> list[Row]:
        """Returns a data set's rows."""
        return [row for row in self.rows if row.data == data]


def collect(plan: StudyPlan, folder: Path) -> Results:
    """Measures whatever is there of a study; an unfinished one gives what it has so far.

    Raises:
        PredictionsError: A predictions file is damaged.
        CheckpointError: A run.json is damaged.
    """
    runs: dict[str, dict[int, RunFolder]] = {}
    found: list[tuple[Variant, dict[str, Any], list[Trial]]] = []
    missing: list[str] = []
    for variant in plan.variants():
        chosen, trials = choose(plan, variant, folder)
        wanted = [(plan.seeds[0], values) for values in variant.candidates]
        if chosen is not None:
            wanted += [(seed, chosen) for seed in plan.seeds[1:]]
        mine: dict[int, RunFolder] = {}
        for seed, values in wanted:
            run = RunFolder(folder / plan.job(variant, values, seed, folder).name)
            if not measurable(run):
                missing.append(str(run.path.relative_to(folder)))
            elif values == chosen:
                mine[seed] = run
        runs[_key(variant)] = mine
        if mine:
            found.append((variant, chosen or {}, trials))
    rows = []
    for variant, values, trials in found:
        against = plan.reference(variant)
        row = measure_row(
            runs[_key(variant)],
            variant.data.motion_types,
            runs[_key(against)] if against else None,
        )
        rows.append(
            replace(
                row,
                data=variant.data.name,
                contender=variant.contender,
                point=dict(variant.point),
                chosen=values,
                trials=trials,
                reference=against.label if against and row.against else None,
            )
        )
    return Results(plan, rows, missing)


def choose(
    plan: StudyPlan, variant: Variant, folder: Path
) -> tuple[dict[str, Any] | None, list[Trial]]:
    """Chooses among the candidates by validation with the first seed; ties take the first.

    Returns:
        The choice (None where no candidate's run is finished) and what it was made from.
    """
    if len(variant.candidates) == 1:
        return dict(variant.candidates[0]), []
    trials = []
    for values in variant.candidates:
        run = RunFolder(folder / plan.job(variant, values, plan.seeds[0], folder).name)
        best = (run.info().get("best") or {}) if run.state() == "finished" else {}
        trials.append(Trial(dict(values), best.get("accuracy"), best.get("loss")))
    finished = [t for t in trials if t.loss is not None]
    if not finished:
        return None, trials
    return max(finished, key=lambda t: (t.accuracy or 0.0, -(t.loss or 0.0))).values, trials


def measure_row(
    runs: Mapping[int, RunFolder],
    motion_types: Sequence[str] = (),
    reference: Mapping[int, RunFolder] | None = None,
) -> Row:
    """Measures one contender.

    Args:
        runs: Its finished runs by seed.
        motion_types: Question types measured together as motion.
        reference: The runs it is compared with.

    Returns:
        A row without names.

    Raises:
        PredictionsError: A predictions file is damaged, or the reference's questions are others.
    """
    by_seed, others = (
        {seed: read_predictions(run.predictions()) for seed, run in some.items()}
        for some in (runs, reference or {})
    )
    costs = [run.info().get("cost") or {} for run in runs.values()]
    return replace(measure_seeds(by_seed, motion_types, others), cost=mean_cost(costs))


def measure_seeds(
    by_seed: Mapping[int, Sequence[Prediction]],
    motion_types: Sequence[str] = (),
    reference: Mapping[int, Sequence[Prediction]] | None = None,
    cluster: Cluster = "video",
) -> Row:
    """Measures one contender from its predictions.

    Args:
        by_seed: Its predictions on the same questions, by seed.
        motion_types: Question types measured together as motion.
        reference: The predictions it is compared with, by seed.
        cluster: What intervals draw as a whole.

    Returns:
        A row without names and cost.

    Raises:
        PredictionsError: The reference's questions are others.
    """

    def score(part: Sequence[Prediction]) -> Score | None:
        return next(iter(measure(part, [metric], cluster=cluster)), None)

    pooled = pool(by_seed)
    metric = main_metric(pooled)
    types = sorted({p.type for p in pooled if p.type})
    by_type = {t: score([p for p in pooled if p.type == t]) for t in types}
    seeds = [measure(part, [metric], resamples=2)[0].value for part in by_seed.values()]
    against = against_motion = None
    common = {seed: part for seed, part in (reference or {}).items() if seed in by_seed}
    if common:
        first, second = pool(common), pool({seed: by_seed[seed] for seed in common})
        against = compare(first, second, metrics=[metric], cluster=cluster)[0]
        first, second = (_about(part, motion_types) for part in (first, second))
        if first:
            against_motion = compare(first, second, metrics=[metric], cluster=cluster)[0]
    return Row(
        data="",
        contender="",
        point={},
        chosen={},
        trials=[],
        seeds=list(by_seed),
        overall=measure(pooled, [metric], cluster=cluster)[0],
        motion=score(_about(pooled, motion_types)),
        types={t: found for t, found in by_type.items() if found},
        spread=float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None,
        reference=None,
        against=against,
        against_motion=against_motion,
        cost={},
    )


def mean_cost(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the means of :data:`COSTS`, as far as all runs have them."""
    return {
        n: float(np.mean([c[n] for c in costs]))
        for n in COSTS
        if all(c.get(n) is not None for c in costs)
    }


def main_metric(predictions: Sequence[Prediction]) -> str:
    """Returns the metric of a study: accuracy, or exact match where nothing has candidates.

    Raises:
        StudyError: No right answer is known.
    """
    names = main_metrics(predictions)
    if not names:
        raise StudyError("no test question has a known answer, so nothing can be measured")
    return names[0]


def pool(by_seed: Mapping[int, Sequence[Prediction]]) -> list[Prediction]:
    """Puts the seeds' predictions side by side; a video with all its seeds is one cluster."""
    return [replace(p, id=f"{p.id}#{seed}") for seed, part in by_seed.items() for p in part]


def write_results(results: Results, file: Path, more: Mapping[str, Any] | None = None) -> None:
    """Writes results as JSON, with anything more that there is to say."""
    document = {
        "schema": SCHEMA,
        "plan": plan_to_dict(results.plan),
        "rows": [asdict(row) for row in results.rows],
        "missing": results.missing,
        **(more or {}),
    }
    write_text(file, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _about(predictions: Sequence[Prediction], types: Sequence[str]) -> list[Prediction]:
    return [p for p in predictions if p.type in types]


def _key(variant: Variant) -> str:
    return f"{variant.data.name}/{variant.label}"
