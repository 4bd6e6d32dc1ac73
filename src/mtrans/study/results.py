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
from mtrans.measure.apply import main_metrics, measure, of_task
from mtrans.measure.compare import Comparison, compare
from mtrans.measure.intervals import Cluster
from mtrans.measure.predictions import read_predictions
from mtrans.study.jobs import StudyError
from mtrans.study.plan import StudyPlan, label_of
from mtrans.study.plan_file import plan_to_dict
from mtrans.train.run_folder import RunFolder

SCHEMA = 1
"""Version of the layout of ``results.json``."""


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
        types: The same by question type; of a type without candidates its exact match.
        spread: Standard deviation over seeds of the overall score; None for a single seed.
        reference: The row that it is compared with; None for the first.
        against: Overall score minus the reference's, paired over the seeds both have.
        against_motion: The same on the questions about motion.
        cost: Medians over seeds of the numbers in run.json's ``cost``.
        left_out: Answers with a known truth that the overall score is not of: open ones beside
            questions with candidates.
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
    left_out: int = 0

    @property
    def label(self) -> str:
        """Its name, with what is varied; that of its variant."""
        return label_of(self.contender, self.point)


@dataclass(frozen=True)
class TransferRow:
    """One contender, learned on one data set, on some questions of one.

    Attributes:
        contender: Its label.
        learned: Data set it was trained on.
        asked: Data set whose test clips are asked about.
        regime: ``same scene, new task`` and so on; of other systems, that they are not from here.
        types: The types of these questions.
        seeds: The seeds measured; none of another system.
        score: On these questions, pooled over seeds.
        at_home: The same contender trained on `asked`, on the same questions; None where there is
            no such run.
    """

    contender: str
    learned: str
    asked: str
    regime: str
    types: tuple[str, ...]
    seeds: tuple[int, ...]
    score: Score
    at_home: Score | None


@dataclass(frozen=True)
class Results:
    """A study's results.

    Attributes:
        plan: What was planned.
        rows: In the plan's order; rows without a finished run are left out.
        missing: Runs that are not done, by name.
        absent: Rows without a finished run, as (data set, label).
        unsettled: Rows whose search is not over, so that their choice may change; the same.
        other: Rows whose runs have other settings than the plan means today, as (data set, label,
            what differs).
        about: What the numbers are, in place of the plan's own words.
        transfer: Scores on the questions of other data sets, where the plan asks them.
    """

    plan: StudyPlan
    rows: list[Row]
    missing: list[str] = field(default_factory=list)
    about: str | None = None
    absent: list[tuple[str, str]] = field(default_factory=list)
    unsettled: list[tuple[str, str]] = field(default_factory=list)
    other: list[tuple[str, str, str]] = field(default_factory=list)
    transfer: list[TransferRow] = field(default_factory=list)

    @property
    def provisional(self) -> list[tuple[str, str]]:
        """Rows that may change: unsettled ones, and those of other settings."""
        return [*self.unsettled, *((data, label) for data, label, _ in self.other)]

    def of(self, data: str) -> list[Row]:
        """Returns a data set's rows."""
        return [row for row in self.rows if row.data == data]


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
    by_seed, others = (read_seeds(some) for some in (runs, reference or {}))
    costs = [run.info().get("cost") or {} for run in runs.values()]
    return replace(measure_seeds(by_seed, motion_types, others), cost=usual_cost(costs))


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
    parts = {t: of_task([p for p in pooled if p.type == t], "any") for t in types}
    by_type = {t: measure(p, [main_metric(p)], cluster=cluster)[0] for t, p in parts.items() if p}
    overall = measure(pooled, [metric], cluster=cluster)[0]
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
        overall=overall,
        motion=score(_about(pooled, motion_types)),
        types=by_type,
        spread=float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None,
        reference=None,
        against=against,
        against_motion=against_motion,
        cost={},
        left_out=len(of_task(pooled, "any")) - overall.n,
    )


def usual_cost(costs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Returns the medians of the numbers that all runs have: some ran beside other work."""
    return {
        name: float(np.median([cost[name] for cost in costs]))
        for name in (costs[0] if costs else ())
        if all(isinstance(cost.get(name), int | float) for cost in costs)
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
    """Puts the seeds' predictions side by side; a video with all its seeds is one cluster.

    So is a question that has no video: its id stands for one.
    """
    return [
        replace(p, id=f"{p.id}#{seed}", video=p.video or p.id)
        for seed, part in by_seed.items()
        for p in part
    ]


def write_results(results: Results, file: Path, more: Mapping[str, Any] | None = None) -> None:
    """Writes results as JSON, with anything more that there is to say."""
    document = {
        "schema": SCHEMA,
        "plan": plan_to_dict(results.plan),
        "rows": [asdict(row) for row in results.rows],
        "missing": results.missing,
        "provisional": results.provisional,
        **({"transfer": [asdict(row) for row in results.transfer]} if results.transfer else {}),
        **(more or {}),
    }
    write_text(file, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read_seeds(runs: Mapping[int, RunFolder]) -> dict[int, list[Prediction]]:
    """Reads the test answers of a row's runs."""
    return {seed: read_predictions(run.predictions()) for seed, run in runs.items()}


def _about(predictions: Sequence[Prediction], types: Sequence[str]) -> list[Prediction]:
    return [p for p in predictions if p.type in types]
