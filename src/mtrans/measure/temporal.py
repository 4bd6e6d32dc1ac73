"""Does order in time change the answers that it should change, and only those?

For every question whose answer backwards is known (:mod:`mtrans.measure.reversal`): *should change*
where that answer is another one, *should stay* where it is the same. A model that looks at time
follows: its answer to the reversed clip is the reversed answer. A model that ignores order gives
the same answer always; one that is merely disturbed changes both kinds alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from mtrans.core.records import Prediction
from mtrans.measure.intervals import bootstrap, clusters_of
from mtrans.measure.metrics import Array, Statistics, mean_of, said, truth
from mtrans.measure.reversal import reversed_answers

Pair = tuple[Prediction, Prediction]
"""A question's answer without a perturbation and with it."""

ORDER = ("reverse", "shuffle")
"""Perturbations that change the order alone."""


def temporal(
    changed: Mapping[tuple[str, int], Sequence[Pair]],
    clean: Sequence[Prediction],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Measures what the order of frames changes.

    Args:
        changed: By name and severity the answers without and with a perturbation.
        clean: All answers without, from which answers backwards are inferred.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``rows``, one for each of ``reverse`` and ``shuffle`` at its most severe: flips among
        questions that should change and that should stay, ``sensitivity`` (their difference); for
        ``reverse`` also ``followed``, the share of rightly answered questions that should change
        whose new answer is the reversed one. ``says``; or ``missing``.
    """
    known = reversed_answers(clean)
    rows = []
    for name in ORDER:
        severities = [s for n, s in changed if n == name]
        if not severities:
            continue
        severity = max(severities)
        pairs = [pair for pair in changed[name, severity] if pair[0].id in known]
        row = _row(pairs, known, name == "reverse", resamples=resamples, seed=seed)
        if row is not None:
            rows.append({"name": name, "severity": severity, **row})
    if not any(name in ORDER for name, _ in changed):
        return {"missing": "neither 'reverse' nor 'shuffle' was tested"}
    if not rows:
        return {
            "missing": "of no question is it known what the right answer is backwards; the fact"
            " 'answer_reversed' in the manifest says it"
        }
    return {"rows": rows, "says": [line for row in rows for line in _says(row)]}


def _row(
    pairs: Sequence[Pair], known: Mapping[str, str], backwards: bool, *, resamples: int, seed: int
) -> dict[str, Any] | None:
    if not pairs:
        return None
    moves = np.array([words_of(known[p.id]) != words_of(truth(p)) for p, _ in pairs])
    flips = np.array([words_of(said(a)) != words_of(said(b)) for a, b in pairs])
    clusters = clusters_of([p for p, _ in pairs])
    columns = np.stack([flips & moves, moves, flips & ~moves, ~moves], axis=1)
    difference = Statistics(sparse.csr_array(columns.astype(float)), _difference, fraction=False)
    row: dict[str, Any] = {"should_change": int(moves.sum()), "should_stay": int((~moves).sum())}
    row["flips_change"] = float(flips[moves].mean()) if moves.any() else None
    row["flips_stay"] = float(flips[~moves].mean()) if (~moves).any() else None
    both = moves.any() and (~moves).any()
    (ends,) = bootstrap([difference], clusters, resamples=resamples, seed=seed) if both else (None,)
    row["sensitivity"] = difference.value() if both else None
    row["low"], row["high"] = (ends.low, ends.high) if ends else (None, None)
    if backwards:
        row |= _followed(pairs, known, moves, resamples, seed)
    return row


def _followed(
    pairs: Sequence[Pair], known: Mapping[str, str], moves: Any, resamples: int, seed: int
) -> dict[str, Any]:
    """Measures how often a right answer that should change becomes the reversed one."""
    asked = [
        pair
        for pair, move in zip(pairs, moves, strict=True)
        if move and words_of(said(pair[0])) == words_of(truth(pair[0]))
    ]
    if not asked:
        return {"asked": 0, "followed": None}
    followed = mean_of([float(words_of(said(b)) == words_of(known[a.id])) for a, b in asked])
    stayed = float(np.mean([words_of(said(b)) == words_of(said(a)) for a, b in asked]))
    clusters = clusters_of([a for a, _ in asked])
    (ends,) = bootstrap([followed], clusters, resamples=resamples, seed=seed)
    return {
        "asked": len(asked),
        "followed": followed.value(),
        "followed_low": ends.low if ends else None,
        "followed_high": ends.high if ends else None,
        "stayed": stayed,
    }


def _difference(sums: Array) -> Array:
    """float[..., 4] flips and questions of both kinds -> difference of the shares of flips."""
    a, m, b, s = (sums[..., i] for i in range(4))
    first = np.divide(a, m, out=np.zeros_like(a), where=m > 0)
    return first - np.divide(b, s, out=np.zeros_like(b), where=s > 0)


def words_of(answer: str | None) -> str | None:
    """Returns an answer's words, without case, spacing and full stop; None of none."""
    return None if answer is None else " ".join(answer.lower().strip().rstrip(".").split())


def _says(row: Mapping[str, Any]) -> list[str]:
    name = "backwards" if row["name"] == "reverse" else "with its frames shuffled"
    lines = []
    if row["sensitivity"] is not None:
        change, stay = (f"{100 * row[k]:.1f} %" for k in ("flips_change", "flips_stay"))
        lines.append(
            f"A clip {name} changes {change} of the answers that depend on order and {stay} of"
            " those that do not."
        )
        if row["low"] is not None and row["low"] <= 0 <= row["high"]:
            lines.append(
                "These shares are not shown to differ: the order of frames is not shown to be used."
            )
    if row.get("followed") is not None:
        lines.append(
            f"Of {row['asked']} right answers that turn into another one backwards,"
            f" {100 * row['followed']:.1f} % follow and {100 * row['stayed']:.1f} % stay as they"
            " were."
        )
    return lines
