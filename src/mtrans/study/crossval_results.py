"""What a cross-validation found: the folds' test answers pooled, rows and floors measured on them.

Pooling, not averaging folds: a question is answered once a seed and repeat, by a model that never
saw its fold; the interval draws whole videos (or groups) over all folds. It treats the folds'
models as given, so it tells little of how another training set would do: the values of folds and
repeats stand beside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.core.files import write_text
from mtrans.core.records import Prediction, Sample, Score
from mtrans.data.manifest import read_manifest
from mtrans.data.subsets import take_fraction
from mtrans.measure.apply import default_metrics, main_metrics, measure
from mtrans.measure.metrics import METRICS
from mtrans.measure.predictions import read_predictions, write_predictions
from mtrans.measure.score import score_predictions
from mtrans.measure.text_metrics import has_wordnet
from mtrans.study.collect import choose
from mtrans.study.crossval import RUNS, Rounds, describe
from mtrans.study.crossval_tables import about, to_markdown
from mtrans.study.floors import MAJORITY, SHORTCUT, container_facts, majority, shortcut
from mtrans.study.jobs import measurable
from mtrans.study.parts import Data
from mtrans.study.plan import FRACTION, Variant, text
from mtrans.study.results import (
    Results,
    Row,
    measure_seeds,
    pool,
    usual_cost,
    write_results,
)
from mtrans.study.tables import to_csv
from mtrans.train.run_folder import RunFolder

NAME = "all-folds"
"""What the pooled folds are called as a data set."""

BySeed = dict[int, list[Prediction]]


@dataclass(frozen=True)
class Detail:
    """What belongs to a row beside its score.

    Attributes:
        folds: Fold -> the row's value on its test part, mean over seeds.
        repeats: Partition -> the same on all its folds; empty where there is one only.
        metrics: Other metrics, over all folds and seeds.
        opened: Run -> when models were put to its test part, in ISO 8601; one time if all is well.
    """

    folds: dict[str, float]
    repeats: dict[str, float]
    metrics: list[Score]
    opened: dict[str, list[str]]


@dataclass(frozen=True)
class Found:
    """What a cross-validation found.

    Attributes:
        rounds: What was done.
        results: Rows as a study's, floors last.
        details: For each row, in its order.
    """

    rounds: Rounds
    results: Results
    details: list[Detail]


@dataclass
class _Pool:
    """The runs of a contender at one point, over folds."""

    variant: Variant
    by_seed: BySeed
    chosen: dict[str, Any]
    costs: list[dict[str, Any]]
    opened: dict[str, list[str]]


def publish(rounds: Rounds) -> Found:
    """Measures what is there and writes it: JSON, Markdown, CSV and each row's pooled answers.

    Raises:
        PredictionsError: A predictions file is damaged.
        CheckpointError: A run.json is damaged.
    """
    found = collect(rounds)
    out = rounds.out
    details = [asdict(detail) for detail in found.details]
    write_results(
        found.results,
        out / "results.json",
        {**describe(rounds), "details": details, "about": found.results.about},
    )
    write_text(out / "table.md", to_markdown(found.results, found.details, rounds.leaks))
    write_text(out / "table.csv", to_csv(found.results))
    return found


def collect(rounds: Rounds) -> Found:
    """Measures whatever is there; a seed counts for a row once all its folds are done."""
    plan, by = rounds.plan, rounds.protocol.by
    missing: list[str] = []
    pools = [_pooled(rounds, v, missing) for v in plan.variants() if v.data == plan.data[0]]
    whole = str(rounds.protocol.data)
    placed = Data(name=NAME, train=whole, val=whole, test=whole)
    view = replace(plan, data=(placed,))
    rows, details = [], []
    answers = {p.variant.label: p.by_seed for p in pools}
    for one in pools:
        if not one.by_seed:
            continue
        against = view.reference(replace(one.variant, data=placed))
        other = answers.get(against.label) if against else None
        row = replace(
            measure_seeds(one.by_seed, reference=other, cluster=by),
            data=NAME,
            contender=one.variant.contender,
            point=dict(one.variant.point),
            chosen=one.chosen,
            cost=usual_cost(one.costs),
        )
        named = against.label if against and row.against else None
        rows.append(replace(row, reference=named))
        details.append(_detail(rounds, one.by_seed, rows[-1], one.opened))
    for name, point, same in _floors(rounds):
        first = next(p for p in pools if p.variant.point.get(FRACTION) == point.get(FRACTION))
        row = measure_seeds({plan.seeds[0]: same}, cluster=by)
        row = replace(row, data=NAME, contender=name, point=point, seeds=[])
        if first.by_seed:  # the same answers stand against each of its seeds
            copies = dict.fromkeys(first.by_seed, same)
            gap = measure_seeds(copies, reference=first.by_seed, cluster=by).against
            row = replace(row, against=gap, reference=first.variant.label)
        rows.append(row)
        details.append(_detail(rounds, {plan.seeds[0]: same}, rows[-1], {}))
    words = about(rounds.protocol, rounds.folds, plan)
    return Found(rounds, Results(view, rows, missing, words), details)


def _pooled(rounds: Rounds, variant: Variant, missing: list[str]) -> _Pool:
    """Reads one row's runs of all folds; names those that are not done."""
    plan, folder = rounds.plan, rounds.runs
    found = _Pool(variant, {}, {}, [], {})
    parts: dict[int, list[list[Prediction]]] = {}
    choices: list[dict[str, Any]] = []
    for data, fold in zip(plan.data, rounds.folds, strict=True):
        number, mine = fold.repeat, replace(variant, data=data)
        chosen, _ = choose(plan, mine, folder)
        if chosen is None:
            missing.append(f"{RUNS}/{data.name}/{variant.label}")
            continue
        choices.append(chosen)
        for seed in plan.seeds:
            run = RunFolder(folder / plan.job(mine, chosen, seed, folder).name)
            if not measurable(run):
                missing.append(str(run.path.relative_to(rounds.out)))
                continue
            answers = read_predictions(run.predictions())
            parts.setdefault(seed, []).append([_named(rounds, p, number) for p in answers])
            found.costs.append(run.info().get("cost") or {})
            meta = json.loads(run.predictions().with_suffix(".meta.json").read_text("utf-8"))
            found.opened[str(run.path.relative_to(folder))] = meta.get("opened") or []
    whole = {
        s: [p for part in some for p in part]
        for s, some in sorted(parts.items())
        if len(some) == len(plan.data)
    }
    found.by_seed.update(whole)
    for key in choices[0] if choices else ():
        values = tuple(dict.fromkeys(c[key] for c in choices))
        found.chosen[key] = values[0] if len(values) == 1 else values
    return found


def _floors(rounds: Rounds) -> list[tuple[str, dict[str, Any], list[Prediction]]]:
    """Answers with majority and shortcuts, from the training clips of each point and fold."""
    fractions = rounds.plan.vary.get(FRACTION, (None,))
    facts = container_facts(s for fold in rounds.folds for s in fold.test)
    made = []
    for fraction in fractions:
        point = {} if fraction is None else {FRACTION: fraction}
        answers: dict[str, list[Prediction]] = {MAJORITY: [], SHORTCUT: []}
        for fold, data in zip(rounds.folds, rounds.plan.data, strict=True):
            train: list[Sample] = read_manifest(str(data.train))
            if fraction is not None:
                train = take_fraction(train, fraction)
            guesses = {
                MAJORITY: majority(train, fold.test),
                SHORTCUT: shortcut(train, fold.test, facts, rounds.protocol.nuisance),
            }
            for name, some in guesses.items():
                answers[name] += [_named(rounds, p, fold.repeat) for p in some]
        made += [(name, dict(point), found) for name, found in answers.items()]
    return made


def _detail(rounds: Rounds, by_seed: BySeed, row: Row, opened: dict[str, list[str]]) -> Detail:
    """Measures the folds and the other metrics, and keeps the pooled answers with their slices."""
    metric = row.overall.metric
    folds: dict[str, float | None] = {}
    repeats: dict[str, set[str]] = {}
    for fold in rounds.folds:
        mine = {_id(rounds, s.id, fold.repeat) for s in fold.test}
        folds[fold.name] = _mean(by_seed, mine, metric)
        repeats.setdefault(f"repeat{fold.repeat}", set()).update(mine)
    pooled = pool(by_seed) if len(by_seed) > 1 else next(iter(by_seed.values()))
    label = "-".join([row.contender, *(f"{k}-{text(v)}" for k, v in row.point.items())])
    file = rounds.out / "pooled" / label.replace(" ", "-") / "predictions.jsonl"
    write_predictions(file, pooled)
    metrics = _metrics(rounds.protocol.data, pooled)
    cluster = rounds.protocol.by
    scores = score_predictions(file, metrics=metrics, resamples=1000, cluster=cluster)
    others = [s for s in scores if not s.slice and s.metric != metric]
    over = {name: _mean(by_seed, mine, metric) for name, mine in repeats.items()}
    return Detail(_known(folds), _known(over) if len(over) > 1 else {}, others, opened)


def _mean(by_seed: BySeed, ids: set[str], metric: str) -> float | None:
    """Returns the mean over seeds of a metric on some of the answers."""
    values = [
        score.value
        for part in by_seed.values()
        for score in measure([p for p in part if p.id in ids], [metric], resamples=2)
    ]
    return float(np.mean(values)) if values else None


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


def _named(rounds: Rounds, prediction: Prediction, repeat: int) -> Prediction:
    name = _id(rounds, prediction.id, repeat)
    # a question without video is one cluster with its answers in other partitions
    video = prediction.video or (prediction.id if name != prediction.id else None)
    return replace(prediction, id=name, video=video)


def _id(rounds: Rounds, name: str, repeat: int) -> str:
    """Returns a question's name in one of several partitions, each of which answers it."""
    return f"{name}#repeat{repeat}" if rounds.protocol.repeats > 1 else name


def _metrics(data: Path, predictions: Sequence[Prediction]) -> list[str]:
    """Returns the metrics that ``prepared.json`` lists, else those that fit."""
    try:
        record: Mapping[str, Any] = json.loads((data.parent / "prepared.json").read_text("utf-8"))
    except (OSError, json.JSONDecodeError):
        record = {}
    listed = [name for name in record.get("metrics", ()) if name in METRICS]
    if not has_wordnet():
        listed = ["meteor_no_wordnet" if name == "meteor" else name for name in listed]
    wanted = [*main_metrics(predictions)[:1], *(listed or default_metrics(predictions))]
    return list(dict.fromkeys(wanted))
