"""Kinds of mistakes, from predictions alone: what was missed, mixed up, nearly right, or believed.

A wrong multiple-choice answer is of the first kind that fits: *unread* (the clip gave no answer),
*no candidate* (the text matched none), *nearly right* (the right candidate came second, with at
least half the probability of what was said), *sure* (what was said has 80 % or more), *unsure*; of
answers without probabilities, as those of many other systems, it is *unknown*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtrans.core.records import Prediction
from mtrans.measure.apply import measure
from mtrans.measure.constructs import NONE, constructs_of
from mtrans.measure.intervals import LEVEL, RESAMPLES, bootstrap, clusters_of
from mtrans.measure.metrics import Array, is_right, mean_of, said, truth

KINDS = ("unread", "no candidate", "nearly right", "sure", "unsure", "unknown")
"""Kinds of mistakes, in the order in which they are looked for."""

SURE = 0.8
"""Confidence of a mistake that the model believes in."""

FEWEST = 20
"""Questions of a type below which nothing is said of how often an answer is given."""

SHOWN = 10
"""Confusions and answers reported at most."""


def mistakes(
    predictions: Sequence[Prediction], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Counts kinds of mistakes, what is mixed up, and answers that are given too often.

    Args:
        predictions: Those of multiple-choice questions with a known answer count.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``n``, ``wrong``, ``kinds`` (name -> count), ``confusions`` (type, right answer, said, how
        often), ``answers`` (type, text, share said, share right, and their difference with its
        interval, the largest first; the intervals hold together with 95 %).
    """
    known = known_choices(predictions)
    wrong = [p for p in known if not is_right(p)]
    counts = Counter(kind_of(p) for p in wrong)
    pairs = Counter((p.type, truth(p), said(p)) for p in wrong if said(p) is not None)
    return {
        "n": len(known),
        "wrong": len(wrong),
        "kinds": {kind: counts[kind] for kind in KINDS},
        "confusions": [
            {"type": t, "right": right, "said": answer, "count": count}
            for (t, right, answer), count in pairs.most_common(SHOWN)
        ],
        "answers": _answers(known, resamples, seed),
    }


def known_choices(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Returns the multiple-choice predictions whose right answer is known."""
    return [p for p in predictions if p.choices is not None and truth(p) is not None]


def kind_of(prediction: Prediction) -> str:
    """Returns the kind of a wrong answer."""
    if prediction.error is not None:
        return "unread"
    if said(prediction) is None:
        return "no candidate"
    shares, label, choice = prediction.probabilities, prediction.label, prediction.choice
    if shares is None or label is None or choice is None:
        return "unknown"
    if sum(s > shares[label] for s in shares) == 1 and shares[label] >= shares[choice] / 2:
        return "nearly right"
    return "sure" if shares[choice] >= SURE else "unsure"


def by_construct(
    predictions: Sequence[Prediction], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[dict[str, Any]]:
    """Scores questions by the linguistic constructs of what was said; one may count for several.

    Args:
        predictions: Those with a dialogue, or the fact that names constructs, count.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        A row for each question type and construct: ``type``, ``construct``, ``accuracy``, ``low``,
        ``high``, ``n``, ``clusters``, ``chance``; empty where no question has a dialogue.
    """
    parts: dict[tuple[str | None, str], list[Prediction]] = {}
    for p in known_choices(predictions):
        names = constructs_of(p)
        for name in () if names is None else names or (NONE,):
            parts.setdefault((p.type, name), []).append(p)
    return [
        {"type": t, "construct": name, **scored(part, resamples, seed)}
        for (t, name), part in sorted(parts.items(), key=lambda item: tuple(map(str, item[0])))
    ]


def scored(
    predictions: Sequence[Prediction], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Returns the accuracy of a part as a row of a table."""
    (score,) = measure(predictions, ["accuracy"], resamples=resamples, seed=seed)
    names = ("low", "high", "n", "clusters", "chance")
    return {"accuracy": score.value, **{name: getattr(score, name) for name in names}}


def _answers(known: Sequence[Prediction], resamples: int, seed: int) -> list[dict[str, Any]]:
    """Compares how often each answer is given with how often it is right."""
    types: dict[str | None, list[Prediction]] = {}
    for p in known:
        types.setdefault(p.type, []).append(p)
    looked: dict[str | None, list[str]] = {}
    for name, part in types.items():
        texts = sorted({t for p in part for t in (truth(p), said(p)) if t is not None})
        # of few questions, or many texts, the share of one answer says nothing
        if len(part) >= FEWEST and len(texts) <= 2 * SHOWN:
            looked[name] = texts
    # all intervals hold together (Bonferroni): the largest of many differences is told first
    level = 1 - (1 - LEVEL) / max(1, sum(map(len, looked.values())))
    draws: dict[str, Any] = {"resamples": resamples, "seed": seed, "level": level}
    out: list[dict[str, Any]] = []
    for name, texts in looked.items():
        part = types[name]
        wanted, given = _hot(part, texts, truth), _hot(part, texts, said)
        means = [mean_of(column, fraction=False) for column in (given - wanted).T]
        intervals = bootstrap(means, clusters_of(part), **draws)
        for k, (text, mean, interval) in enumerate(zip(texts, means, intervals, strict=True)):
            row = {"type": name, "text": text, "said": float(given[:, k].mean())}
            row |= {"right": float(wanted[:, k].mean()), "difference": mean.value()}
            ends = (interval.low, interval.high) if interval else (None, None)
            out.append({**row, "low": ends[0], "high": ends[1]})
    out.sort(key=lambda row: -abs(row["difference"]))
    return out[:SHOWN]


def _hot(part: Sequence[Prediction], texts: Sequence[str], of: Any) -> Array:
    return np.array([[float(of(p) == text) for text in texts] for p in part])
