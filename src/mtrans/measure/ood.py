"""How well a score tells strange clips from known ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mtrans.core.files import write_text
from mtrans.measure.intervals import Interval, interval_of

Array = NDArray[np.float64]

SCHEMA = 1
"""Version of the layout of ``ood.json``."""

OOD = "ood.json"
"""Name of the result in a run folder."""


def auroc(inside: Array, outside: Array) -> float:
    """Returns how often a strange clip scores above a known one; ties count half."""
    ranks = rankdata(np.concatenate([inside, outside]))
    n, m = len(inside), len(outside)
    return float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))


def auroc_interval(
    inside: Array, outside: Array, *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Returns the percentile interval of the AUROC, clips of both kinds drawn anew.

    Where all draws are alike (every strange clip above every known one) it is the exact binomial
    one, with the clips of the rarer kind as trials.

    Args:
        inside: float[n] scores of known clips.
        outside: float[m] scores of strange ones.
        resamples: Bootstrap replicates.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        auroc(rng.choice(inside, len(inside)), rng.choice(outside, len(outside)))
        for _ in range(resamples)
    ]
    fewest = min(len(inside), len(outside))
    return interval_of(np.array(drawn), point=auroc(inside, outside), groups=fewest)


def compare(
    inside: dict[str, Array], outside: dict[str, Array], threshold: float
) -> dict[str, Any]:
    """Measures how well scores tell strange clips from known ones.

    Args:
        inside: By name float[n] scores of known clips; higher is stranger.
        outside: By name float[m] scores of strange ones; names that both have are compared.
        threshold: Of the score ``distance``.

    Returns:
        By name ``auroc``, ``low``, ``high``; and for the distance the shares above the threshold.
    """
    out: dict[str, Any] = {}
    for name in (n for n in inside if n in outside):
        ends = auroc_interval(inside[name], outside[name])
        value = auroc(inside[name], outside[name])
        out[name] = {"auroc": value, "low": ends.low, "high": ends.high}
    out["distance"]["warned_known"] = float((inside["distance"] > threshold).mean())
    out["distance"]["warned_strange"] = float((outside["distance"] > threshold).mean())
    return out


def write_ood(run: Path, rows: Sequence[dict[str, Any]], *, known: int) -> Path:
    """Writes ``ood.json``: ``known`` clips, and ``rows`` of ``name`` and ``scores``."""
    path = run / OOD
    document = {"schema": SCHEMA, "known": known, "rows": list(rows)}
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return path
