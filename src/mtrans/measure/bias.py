"""Does who is seen decide the answer? Shortcuts and gaps between groups, from predictions alone.

For every column (speaker, group, facts that are words): can the *right answers* be guessed from it
(the data's shortcut), can the *model's answers* (what the model reads), is the model better for
some groups, and does it err in other directions for them (equalised odds)?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mtrans.core.records import Fact, Prediction
from mtrans.measure.apply import measure
from mtrans.measure.breakdown import MAX_VALUES, MAX_WORDS, is_number, quantiles
from mtrans.measure.gaps import Gap, accuracy_gap, odds_gap
from mtrans.measure.intervals import LEVEL, RESAMPLES, bootstrap, clusters_of
from mtrans.measure.metrics import mean_of, said, truth
from mtrans.measure.predictions import PredictionsError
from mtrans.measure.worst import adjusted

FOLDS = 5
"""Parts of the cross-validation; a video lies in one of them."""

FEWEST = 40
"""Questions of a type below which nothing is guessed from a column."""

OWN = ("speaker", "group")
"""Columns that are a prediction's own fields; all others are its facts."""

NUMBERS = ("age",)
"""Columns examined though they are numbers; others only where they are named."""

Labels = Sequence[str | None]


def bias(
    predictions: Sequence[Prediction],
    columns: Sequence[str] = (),
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Examines every column.

    Args:
        predictions: Those of multiple-choice questions with a known answer count.
        columns: ``speaker``, ``group`` or names of facts; empty takes ``age`` and all that are
            words or yes/no with 2 to 24 values. Numbers of more than six values are cut into four
            quantiles.
        resamples: Bootstrap replicates.
        seed: Seed of folds, draws and permutations.

    Returns:
        ``columns``: one entry a column with ``name``, ``groups`` (accuracy with interval, and the
        commonest right answer's share), ``shortcuts`` (one a question type), ``gap``, ``odds``;
        ``notes`` on columns left out; ``level`` of the intervals on shortcuts, so that together
        they hold with 95 %. The p values of gaps are adjusted for all of them that were looked at.

    Raises:
        PredictionsError: A column named is known of no prediction.
    """
    known = [p for p in predictions if p.choices is not None and truth(p) is not None]
    chosen, notes = _columns(known, columns)
    # all intervals on shortcuts hold together (Bonferroni): many are looked at
    looks = 2 * max(1, len(chosen)) * len({p.type for p in known})
    level = 1 - (1 - LEVEL) / max(1, looks)
    out: list[dict[str, Any]] = []
    for name, values in chosen.items():
        part = [(p, str(v)) for p, v in zip(known, values, strict=True) if v is not None]
        here, groups = [p for p, _ in part], [g for _, g in part]
        out.append(
            {
                "name": name,
                "groups": _groups(here, groups, resamples, seed),
                "shortcuts": _shortcuts(here, groups, resamples, seed, level),
                "gap": _gap_json(accuracy_gap(here, groups, resamples=resamples, seed=seed)),
                "odds": _gap_json(odds_gap(here, groups, resamples=resamples, seed=seed)),
            }
        )
    gaps = [column[key] for column in out for key in ("gap", "odds") if column[key] is not None]
    for gap, q in zip(gaps, adjusted(np.array([gap["p"] for gap in gaps])), strict=True):
        gap["p"] = float(q)
    return {"columns": out, "notes": notes, "level": level}


def guess(
    groups: Sequence[str], labels: Labels, clusters: NDArray[np.int64], seed: int = 0
) -> tuple[list[str | None], list[str | None]]:
    """Guesses each label from its group alone, by cross-validation, and without it.

    What the group gives is measured against the commonest label of *all* items, held-out ones
    included: learned from the other folds, it would be wrong more often than not where labels are
    balanced, and any group would seem to tell something.

    Args:
        groups: n group names.
        labels: n labels.
        clusters: int64[n], what lies in one fold as a whole.
        seed: Seed of the folds.

    Returns:
        For each item the commonest label among the other folds' items of its group (equally common
        ones are decided by all of these folds' items), and the commonest label of all.
    """
    count = int(clusters.max()) + 1
    folds = np.random.default_rng(seed).permutation(np.arange(count) % min(FOLDS, count))[clusters]
    counts = Counter(label for label in labels if label is not None)
    commonest = max(counts, key=lambda a: (counts[a], str(a)), default=None)
    of_group: list[str | None] = [None] * len(labels)
    for fold in np.unique(folds):
        rest = np.flatnonzero(folds != fold).tolist()
        overall = Counter(labels[i] for i in rest if labels[i] is not None)
        usual = max(overall, key=lambda a: (overall[a], str(a)), default=None)
        by_group: dict[str, Counter[str | None]] = {}
        for i in rest:
            if labels[i] is not None:
                by_group.setdefault(groups[i], Counter())[labels[i]] += 1
        for i in np.flatnonzero(folds == fold).tolist():
            mine = by_group.get(groups[i], Counter())
            of_group[i] = max(mine, key=lambda a: (mine[a], overall[a], str(a)), default=usual)
    return of_group, [commonest] * len(labels)


def guessable(
    predictions: Sequence[Prediction],
    groups: Sequence[str],
    labels: Labels,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, float | None]:
    """Returns how much better labels are guessed with the group than without.

    Args:
        predictions: n predictions, for the videos.
        groups: n group names.
        labels: n labels: right answers, or the model's.
        resamples: Bootstrap replicates.
        seed: Seed of folds and draws.
        level: Share of the interval.

    Returns:
        ``with`` and ``without`` (accuracies of the two guesses), ``gain``, ``low``, ``high``.
    """
    clusters = clusters_of(predictions)
    of_group, of_all = guess(groups, labels, clusters, seed)
    hit = np.array([float(a == b) for a, b in zip(of_group, labels, strict=True)])
    base = np.array([float(a == b) for a, b in zip(of_all, labels, strict=True)])
    statistics = mean_of(hit - base, fraction=False)
    (interval,) = bootstrap([statistics], clusters, resamples=resamples, level=level, seed=seed)
    return {
        "with": float(hit.mean()),
        "without": float(base.mean()),
        "gain": statistics.value(),
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
    }


def cramers_v(groups: Sequence[str], labels: Sequence[str]) -> float:
    """Returns Cramer's V of groups and labels: 0 is no association, 1 a label for each group."""
    rows = np.unique(np.asarray(groups), return_inverse=True)[1]
    columns = np.unique(np.asarray(labels), return_inverse=True)[1]
    pairs = (np.ones(len(rows)), (rows, columns))
    table = sparse.coo_array(pairs).toarray()
    smallest = min(table.shape) - 1
    if smallest < 1:
        return 0.0
    n = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    chi2 = float(((table - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi2 / (n * smallest)))


def _shortcuts(
    predictions: Sequence[Prediction],
    groups: Sequence[str],
    resamples: int,
    seed: int,
    level: float,
) -> list[dict[str, Any]]:
    """Guesses right answers and the model's answers from the group, for each question type."""
    types: dict[str | None, list[int]] = {}
    for i, p in enumerate(predictions):
        types.setdefault(p.type, []).append(i)
    out = []
    for name, places in types.items():
        part, mine = [predictions[i] for i in places], [groups[i] for i in places]
        truths, answers = [str(truth(p)) for p in part], [said(p) for p in part]
        if len(part) < FEWEST or len(set(truths)) < 2 or len(set(mine)) < 2:
            continue
        options: dict[str, Any] = {"resamples": resamples, "seed": seed, "level": level}
        out.append(
            {
                "type": name,
                "n": len(part),
                "association": cramers_v(mine, truths),
                "truth": guessable(part, mine, truths, **options),
                "answers": guessable(part, mine, answers, **options),
            }
        )
    return out


def _groups(
    predictions: Sequence[Prediction], groups: Sequence[str], resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Returns the accuracy of each group, and how balanced its right answers are."""
    parts: dict[str, list[Prediction]] = {}
    for p, name in zip(predictions, groups, strict=True):
        parts.setdefault(name, []).append(p)
    out = []
    for name, part in sorted(parts.items()):
        (score,) = measure(part, ["accuracy"], resamples=resamples, seed=seed)
        ((common, count),) = Counter(str(truth(p)) for p in part).most_common(1)
        row = {"name": name, "n": score.n, "clusters": score.clusters, "accuracy": score.value}
        row |= {"low": score.low, "high": score.high}
        out.append({**row, "commonest": common, "share": count / len(part)})
    return out


def _gap_json(gap: Gap | None) -> dict[str, Any] | None:
    return gap._asdict() if gap else None


def _columns(
    known: Sequence[Prediction], names: Sequence[str]
) -> tuple[dict[str, list[Fact]], list[str]]:
    """Returns the values of each column that is examined, and notes on those that are not."""
    facts = dict.fromkeys(name for p in known for name in p.facts)
    wanted = names or [*OWN, *facts]
    chosen: dict[str, list[Fact]] = {}
    notes = []
    for name in wanted:
        key = name.removeprefix("facts.")
        values = [getattr(p, key) if key in OWN else p.facts.get(key) for p in known]
        distinct = {v for v in values if v is not None}
        if names and not distinct:
            raise PredictionsError(
                f"column '{name}': no prediction has it; there are {', '.join([*OWN, *facts])}"
            )
        words = all(isinstance(v, str | bool) for v in distinct)
        if len(distinct) < 2 or not (words or names or key in NUMBERS):
            continue
        if len(distinct) > MAX_VALUES and all(is_number(v) for v in distinct):
            parts = quantiles({i: v for i, v in enumerate(values) if v is not None})
            values = [parts.get(i) for i in range(len(values))]
            distinct = set(parts.values())
        if len(distinct) > MAX_WORDS and not names:
            notes.append(f"{name}: {len(distinct)} values; name it with --column to examine it")
            continue
        chosen[name] = values
    return chosen, notes
