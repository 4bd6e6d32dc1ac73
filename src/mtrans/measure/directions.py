"""Which way it moves, taken apart: along which line, and in which sense along it.

The line (left-right or up-down) can be seen from where a thing was, in any order; the sense needs
to know which frame came first. A model without time can get the line and must guess the sense.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from mtrans.core.records import Prediction
from mtrans.measure.intervals import RESAMPLES, bootstrap, clusters_of
from mtrans.measure.metrics import Array, Statistics, mean_of, said, truth
from mtrans.measure.reversal import OPPOSITE

FEWEST = 20
"""Questions below which nothing is said."""

AXES = {"left-right": ("left", "right"), "up-down": ("up", "down")}
"""Lines of motion."""

GUESS = 0.5
"""Share of right senses of a model that knows the line and guesses the rest."""


def directions(
    predictions: Sequence[Prediction], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any] | None:
    """Scores line and sense of the answers to questions of direction.

    Args:
        predictions: Those whose right answer is left, right, up or down, with its opposite and a
            third among the candidates, count.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``n``, ``clusters``; ``line``, the share of answers along the right line; ``sense``, of
        those (``sense_n``) the share that go the right way; both with ``_low`` and ``_high``;
        ``line_chance``; ``axes``, by line the same of the sense alone. None where fewer than
        :data:`FEWEST` questions count.
    """
    known = [p for p in predictions if _asked(p)]
    if len(known) < FEWEST:
        return None
    draws: dict[str, Any] = {"resamples": resamples, "seed": seed}
    found: dict[str, Any] = {
        "line_chance": float(np.mean([2 / len(p.choices or ()) for p in known])),
        **_scored(known, **draws),
        "axes": {},
    }
    for name, ways in AXES.items():
        part = [p for p in known if truth(p) in ways]
        if len(part) >= FEWEST:
            scores = _scored(part, **draws)
            found["axes"][name] = {k: v for k, v in scores.items() if k.startswith("sense")}
    return found


def _scored(part: Sequence[Prediction], *, resamples: int, seed: int) -> dict[str, Any]:
    rows = np.array([_row(p) for p in part])
    line = mean_of(rows[:, 0])
    # answers off the line count for nothing here: few along it are few, however many were asked
    sense = Statistics(sparse.csr_array(rows), _sense)
    clusters = clusters_of(part)
    ends = bootstrap([line, sense], clusters, resamples=resamples, seed=seed)
    found: dict[str, Any] = {"n": len(part), "clusters": int(clusters.max()) + 1}
    found["sense_n"] = int(rows[:, 0].sum())
    for name, value, interval in zip(("line", "sense"), (line, sense), ends, strict=True):
        found[name] = value.value()
        found[f"{name}_low"] = interval.low if interval else None
        found[f"{name}_high"] = interval.high if interval else None
    return found


def _asked(p: Prediction) -> bool:
    right, choices = truth(p), p.choices or ()
    return right in OPPOSITE and OPPOSITE[str(right)] in choices and len(choices) > 2


def _row(p: Prediction) -> list[float]:
    """Returns 1 where the line is right, 1 where the sense is right too."""
    right, answer = str(truth(p)), said(p)
    return [float(answer in (right, OPPOSITE[right])), float(answer == right)]


def _sense(sums: Array) -> Array:
    none = np.full_like(sums[..., 1], GUESS)
    return np.divide(sums[..., 1], sums[..., 0], out=none, where=sums[..., 0] > 0)
