"""Run folders of a study -> its rows: what is finished, what was chosen, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtrans.study.floor_rows import floor_rows
from mtrans.study.jobs import differences, measurable
from mtrans.study.plan import StudyPlan, Variant
from mtrans.study.results import Results, Row, Trial, measure_row, read_seeds
from mtrans.train.run_folder import RunFolder


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
    rows = [_row(plan, runs, *one) for one in found]
    for data in plan.data:
        first = next(v for v in plan.variants() if v.data == data)
        rows += floor_rows(plan, data, folder, read_seeds(runs[_key(first)]), first.label)
    absent = [(v.data.name, v.label) for v in plan.variants() if not runs[_key(v)]]
    unsettled = [
        (v.data.name, v.label) for v, _, trials in found if any(t.loss is None for t in trials)
    ]
    other = []
    for variant, values, _ in found:
        seed, run = next(iter(runs[_key(variant)].items()))
        differ = differences(plan.job(variant, values, seed, folder), run)
        if differ:
            other.append((variant.data.name, variant.label, differ))
    return Results(plan, rows, missing, absent=absent, unsettled=unsettled, other=other)


def _row(
    plan: StudyPlan,
    runs: Mapping[str, dict[int, RunFolder]],
    variant: Variant,
    chosen: dict[str, Any],
    trials: list[Trial],
) -> Row:
    against = plan.reference(variant)
    row = measure_row(
        runs[_key(variant)],
        variant.data.motion_types,
        runs[_key(against)] if against else None,
    )
    return replace(
        row,
        data=variant.data.name,
        contender=variant.contender,
        point=dict(variant.point),
        chosen=chosen,
        trials=trials,
        reference=against.label if against and row.against else None,
    )


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


def _key(variant: Variant) -> str:
    return f"{variant.data.name}/{variant.label}"
