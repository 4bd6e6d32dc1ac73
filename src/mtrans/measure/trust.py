"""The calibration part of an analysis: scores, reliability table, and what abstaining would gain.

Where a calibration was fitted (``calibration.json``), everything is computed twice from the same
likelihoods: as the model gives them, and calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mtrans.core.calibration import Calibration, recalibrated
from mtrans.core.records import Prediction
from mtrans.measure.apply import measure
from mtrans.measure.calibration import (
    best_aurc,
    binned,
    bins_of,
    confidence_of,
    is_scored,
)
from mtrans.measure.intervals import RESAMPLES, clusters_of, interval_of, replicates
from mtrans.measure.metrics import Statistics, share

METRICS = ("accuracy", "overconfidence", "ece", "nll", "brier", "confidence_auroc", "aurc")
"""What is measured of each variant."""

COVERAGES = tuple(k / 20 for k in range(1, 21))
"""Shares of the questions, the surest, at which answering is looked at."""


def trust(
    predictions: Sequence[Prediction],
    calibration: Calibration | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures how far confidence can be trusted.

    Args:
        predictions: Multiple-choice answers with probabilities count.
        calibration: What was fitted for the run; None leaves the calibrated variant out.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``n``, ``left_out``, ``variants`` (each with ``name``, ``scores``, ``reliability``,
        ``selective``, ``best_aurc``, ``error_rate``), ``calibration``.

    Raises:
        PredictionsError: No answer has probabilities.
    """
    confidence_of(predictions)  # raises where there is nothing to measure
    known = [p for p in predictions if is_scored(p)]
    variants = []
    for name, part in _variants(known, calibration):
        scores = measure(part, METRICS, resamples=resamples, seed=seed)
        errors = round((1 - scores[0].value) * len(part))
        variants.append(
            {
                "name": name,
                "scores": [s.to_json() for s in scores],
                "reliability": reliability(part, resamples=resamples, seed=seed),
                "selective": selective(part, resamples=resamples, seed=seed),
                "best_aurc": best_aurc(errors, len(part)),
                "error_rate": errors / len(part),
            }
        )
    return {
        "n": len(known),
        "left_out": len(predictions) - len(known),
        "variants": variants,
        "calibration": calibration.to_json() if calibration else None,
    }


def reliability(
    predictions: Sequence[Prediction], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[dict[str, Any]]:
    """Returns accuracy against confidence, a row for each bin of about equally many answers.

    Args:
        predictions: Scored answers.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``low`` and ``high`` confidence of the bin, mean ``confidence``, ``accuracy`` with the
        interval ``accuracy_low``, ``accuracy_high``, and ``n``.
    """
    confidence = confidence_of(predictions)
    which = bins_of(confidence.said)
    rows = binned(confidence, which)
    b = int(which.max()) + 1
    statistics = Statistics(rows, lambda sums: share(sums[..., b : 2 * b], sums[..., 2 * b :]))
    ends = _ends(statistics, clusters_of(predictions), resamples, seed, b)
    sums = np.asarray(rows.sum(axis=0))
    out = []
    for k in range(b):
        inside = confidence.said[which == k]
        row = {"low": float(inside.min()), "high": float(inside.max()), "n": len(inside)}
        row |= {"confidence": float(inside.mean()), "accuracy": float(sums[b + k] / len(inside))}
        out.append({**row, "accuracy_low": ends[0][k], "accuracy_high": ends[1][k]})
    return out


def selective(
    predictions: Sequence[Prediction], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[dict[str, Any]]:
    """Returns what answering the surest questions only would give.

    Args:
        predictions: Scored answers.
        resamples: Bootstrap replicates; thresholds stay as they are in them.
        seed: Seed of the draws.

    Returns:
        A row for each coverage that some threshold reaches: ``coverage`` (share answered),
        ``threshold`` (confidence from which on it answers), ``accuracy``, ``low``, ``high``.
    """
    confidence = confidence_of(predictions)
    order = np.sort(confidence.said)[::-1]
    cuts = sorted({float(order[max(0, round(c * len(order)) - 1)]) for c in COVERAGES})[::-1]
    kept = confidence.said[:, None] >= np.array(cuts)
    rows = np.concatenate([kept * confidence.right[:, None], kept], axis=1).astype(np.float64)
    count = len(cuts)
    statistics = Statistics(
        sparse.csr_array(rows), lambda sums: share(sums[..., :count], sums[..., count:])
    )
    ends = _ends(statistics, clusters_of(predictions), resamples, seed, count)
    right, size = np.split(rows.sum(axis=0), 2)
    return [
        {
            "coverage": float(size[k] / len(rows)),
            "threshold": cuts[k],
            "accuracy": float(right[k] / size[k]),
            "low": ends[0][k],
            "high": ends[1][k],
        }
        for k in range(count)
    ]


def _variants(
    known: Sequence[Prediction], calibration: Calibration | None
) -> list[tuple[str, list[Prediction]]]:
    if calibration is None:
        return [("as predicted", list(known))]
    raw = [recalibrated(p, None) for p in known]
    name = f"calibrated ({calibration.method})"
    return [("as the model gives it", raw), (name, [recalibrated(p, calibration) for p in known])]


def _ends(
    statistics: Statistics, clusters: NDArray[np.int64], resamples: int, seed: int, count: int
) -> list[list[float | None]]:
    """Returns lower and upper ends of several shares; the last `count` columns are their sizes."""
    if int(clusters.max()) < 1:
        return [[None] * count, [None] * count]
    (drawn,) = replicates([statistics], clusters, resamples=resamples, seed=seed)
    values = statistics.finish(np.asarray(statistics.rows.sum(axis=0), dtype=np.float64))
    sizes = statistics.rows.toarray()[:, -count:] > 0
    lows: list[float | None] = []
    highs: list[float | None] = []
    for k in range(count):
        groups = len(np.unique(clusters[sizes[:, k]]))
        interval = interval_of(drawn[:, k], point=float(values[k]), groups=groups)
        lows.append(interval.low)
        highs.append(interval.high)
    return [lows, highs]
