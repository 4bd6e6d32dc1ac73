"""Where a model fails: parts of the predictions, by up to two facts, that are worse than the rest.

Every value of every key (type, speaker, group, facts; numbers cut into quantiles) is a candidate,
and so is every pair of values of two keys. A part is reported where the model is worse on it than
on everything it lies in, and where that survives the number of parts that were looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from mtrans.core.records import Fact, Prediction
from mtrans.measure.apply import measure
from mtrans.measure.breakdown import slices
from mtrans.measure.intervals import RESAMPLES, Cluster, clusters_of
from mtrans.measure.metrics import Array, is_right, truth

FEWEST, FEWEST_CLIPS = 20, 10
"""Questions and videos below which a part is not looked at."""

RATE = 0.05
"""Expected share of false finds among the parts reported (Benjamini-Hochberg)."""

SHOWN = 15
"""Parts reported at most, the worst first."""


@dataclass(frozen=True)
class Part:
    """A candidate part of n predictions.

    Attributes:
        facts: What its predictions have in common; one or two entries.
        inside: bool[n].
    """

    facts: dict[str, Fact]
    inside: NDArray[np.bool_]


def worst_parts(
    predictions: Sequence[Prediction],
    *,
    rate: float = RATE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    cluster: Cluster = "video",
) -> dict[str, Any]:
    """Searches the parts on which a model is worse than elsewhere.

    Args:
        predictions: Those of multiple-choice questions with a known answer count.
        rate: Expected share of false finds.
        resamples: Bootstrap replicates of the intervals.
        seed: Seed of the draws.
        cluster: What is drawn as a whole.

    Returns:
        ``accuracy``, ``tested`` (parts looked at), ``rate``, ``parts`` (those found: ``facts``,
        ``accuracy``, ``low``, ``high``, ``n``, ``clusters``, ``elsewhere`` (accuracy on all other
        questions), ``chance``, ``p``, ``q`` (adjusted p)).
    """
    known = [p for p in predictions if p.choices is not None and truth(p) is not None]
    right = np.array([is_right(p) for p in known], dtype=np.float64)
    videos = clusters_of(known, cluster) if known else np.zeros(0, dtype=np.int64)
    parts, p_values = _tested(known, right, videos)
    found = []
    for i, q in enumerate(adjusted(p_values)):
        if q <= rate:
            found.append((parts[i], float(p_values[i]), float(q)))
    found.sort(key=lambda item: float(right[item[0].inside].mean()))
    rows = []
    for part, p, q in found[:SHOWN]:
        members = [known[i] for i in np.flatnonzero(part.inside)]
        (score,) = measure(members, ["accuracy"], resamples=resamples, seed=seed, cluster=cluster)
        rows.append(
            {
                "facts": part.facts,
                "accuracy": score.value,
                "low": score.low,
                "high": score.high,
                "n": score.n,
                "clusters": score.clusters,
                "elsewhere": float(right[~part.inside].mean()),
                "chance": score.chance,
                "p": p,
                "q": q,
            }
        )
    return {
        "accuracy": float(right.mean()) if len(right) else None,
        "n": len(known),
        "tested": len(parts),
        "found": len(found),
        "rate": rate,
        "parts": rows,
    }


def adjusted(p_values: Array) -> Array:
    """Returns Benjamini-Hochberg adjusted p values float[m] (Benjamini and Hochberg, 1995)."""
    m = len(p_values)
    order = np.argsort(p_values)
    steps = p_values[order] * m / np.arange(1, m + 1)
    q = np.empty(m)
    q[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return q


def _tested(
    known: Sequence[Prediction], right: Array, videos: NDArray[np.int64]
) -> tuple[list[Part], Array]:
    """Returns the candidate parts and their p values."""
    singles = _singles(known, videos)
    parts, p_values = [], []
    for part in singles:
        parts.append(part)
        p_values.append(worse_p(right, part.inside, np.ones_like(part.inside), videos))
    seen = {part.inside.tobytes() for part in singles}
    for a, b in combinations(singles, 2):
        inside = a.inside & b.inside
        if a.facts.keys() == b.facts.keys() or not _large(inside, videos):
            continue
        if inside.tobytes() in seen:  # says what another part says already
            continue
        seen.add(inside.tobytes())
        parts.append(Part({**a.facts, **b.facts}, inside))
        # a pair says more than its facts only where it is worse than each of them alone
        around = (np.ones_like(inside), a.inside, b.inside)
        p_values.append(max(worse_p(right, inside, outer, videos) for outer in around))
    return parts, np.array(p_values)


def _singles(known: Sequence[Prediction], videos: NDArray[np.int64]) -> list[Part]:
    numbers = {id(p): i for i, p in enumerate(known)}
    parts: list[Part] = []
    seen: set[bytes] = set()
    for key, values in slices(known)[0].items():
        for value, members in values.items():
            inside = np.zeros(len(known), dtype=np.bool_)
            inside[[numbers[id(p)] for p in members]] = True
            if not _large(inside, videos) or inside.tobytes() in seen:
                continue
            seen.add(inside.tobytes())
            parts.append(Part({key: value}, inside))
    return parts


def _large(inside: NDArray[np.bool_], videos: NDArray[np.int64]) -> bool:
    return bool(inside.sum() >= FEWEST and len(np.unique(videos[inside])) >= FEWEST_CLIPS)


def worse_p(
    right: Array,
    inside: NDArray[np.bool_],
    outer: NDArray[np.bool_],
    videos: NDArray[np.int64],
) -> float:
    """Returns the one-sided p value of a part being no worse than the rest of what it lies in.

    A score test: under the hypothesis both have one accuracy ``m``; the difference of their
    accuracies is then a sum over videos of independent terms ``sum (right - m) * (1/n_part or
    -1/n_rest)``, whose squares give its variance (robust to questions of a video being alike).

    Args:
        right: float[n], 1 where the answer is right.
        inside: bool[n], the part.
        outer: bool[n], what it lies in.
        videos: int64[n].

    Returns:
        1 where the part is all of `outer` or nothing varies.
    """
    rest = outer & ~inside
    n_part, n_rest = int(inside.sum()), int(rest.sum())
    if not n_part or not n_rest:
        return 1.0
    difference = right[inside].mean() - right[rest].mean()
    m = right[outer].mean()
    terms = (right - m) * (inside / n_part - rest / n_rest)
    sums = np.bincount(videos, weights=terms)
    spread = float(np.sqrt(np.sum(sums**2)))
    return float(norm.cdf(difference / spread)) if spread > 0 else 1.0
