"""Perception or reasoning: of the clips it gets wrong, does a model at least see what is there?

A mistake about a clip whose still-image questions are all answered right is called a *reasoning*
error, any other a *perception* error. That is only worth something beside its control: where
questions answered right have as many clips seen through, seeing does not explain the mistakes.

A model that was adapted to other questions may have unlearned to answer those about stills without
being any blinder. So the image model it started from, whose eyes it has, is asked as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from mtrans.core.records import Prediction
from mtrans.measure.intervals import RESAMPLES, bootstrap, clusters_of
from mtrans.measure.metrics import Array, Statistics, is_right
from mtrans.measure.mistakes import known_choices, scored
from mtrans.measure.predictions import PredictionsError

_Clip = tuple[str | None, float | None, float | None]


def perception(
    predictions: Sequence[Prediction],
    stills: Sequence[Prediction],
    image_stills: Sequence[Prediction] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Parts mistakes into those of perception and those of reasoning.

    Args:
        predictions: The questions about clips.
        stills: The model's answers to still-image questions about the same clips.
        image_stills: Those of the image model it was adapted from; None leaves it out.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``n`` and ``asked`` (questions, still questions), ``errors`` with ``reasoning`` and
        ``perception`` counts, ``seen_when_wrong`` and ``seen_when_right`` (share of mistakes and of
        right answers whose clip is seen through), ``difference`` (right minus wrong) with ``low``
        and ``high``, ``seen`` and ``by_chance`` (share of clips that are seen through, and that
        guessing would see through), ``answers`` (accuracy of the still questions) and ``stills``
        (by kind), ``types`` (the counts by question type); and ``image_model``, all of these with
        the answers of the image model, or None.

    Raises:
        PredictionsError: No clip has both kinds of question.
    """
    draws: dict[str, Any] = {"resamples": resamples, "seed": seed}
    parted = _parted(predictions, stills, **draws)
    image = None if image_stills is None else _parted(predictions, image_stills, **draws)
    return {**parted, "image_model": image}


def _parted(
    predictions: Sequence[Prediction], stills: Sequence[Prediction], *, resamples: int, seed: int
) -> dict[str, Any]:
    """Parts mistakes by one model's answers to the still-image questions."""
    seen: dict[_Clip, bool] = {}
    luck: dict[_Clip, float] = {}
    for p in stills:
        clip = (p.video, p.start, p.end)
        seen[clip] = seen.get(clip, True) and is_right(p)
        luck[clip] = luck.get(clip, 1.0) / len(p.choices or "x")
    known = [p for p in known_choices(predictions) if _clip(p) in seen]
    if not known:
        raise PredictionsError("no clip has both a question and still-image questions")
    through = np.array([seen[_clip(p)] for p in known], dtype=np.float64)
    right = np.array([is_right(p) for p in known], dtype=np.float64)
    rows = np.stack([through * right, right, through * (1 - right), 1 - right], axis=1)
    statistics = Statistics(sparse.csr_array(rows), _difference, fraction=False)
    (interval,) = bootstrap([statistics], clusters_of(known), resamples=resamples, seed=seed)
    sums = rows.sum(axis=0)
    types = sorted({str(p.type) for p in known})
    return {
        "n": len(known),
        "asked": len(stills),
        "errors": {"reasoning": int(sums[2]), "perception": int(sums[3] - sums[2])},
        "seen_when_wrong": float(sums[2] / sums[3]) if sums[3] else None,
        "seen_when_right": float(sums[0] / sums[1]) if sums[1] else None,
        "difference": statistics.value() if sums[1] and sums[3] else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "seen": float(np.mean(list(seen.values()))),
        "by_chance": float(np.mean([luck[clip] for clip in seen])),
        "answers": scored(stills, resamples, seed),
        "stills": _by_kind(stills, resamples, seed),
        "types": [
            _of_type(name, [p for p in known if str(p.type) == name], seen) for name in types
        ],
    }


def _of_type(name: str, part: Sequence[Prediction], seen: dict[_Clip, bool]) -> dict[str, Any]:
    wrong = [p for p in part if not is_right(p)]
    reasoning = sum(seen[_clip(p)] for p in wrong)
    return {
        "type": name,
        "n": len(part),
        "wrong": len(wrong),
        "reasoning": reasoning,
        "perception": len(wrong) - reasoning,
    }


def _by_kind(stills: Sequence[Prediction], resamples: int, seed: int) -> list[dict[str, Any]]:
    out = []
    for name in sorted({str(p.type) for p in stills}):
        part = [p for p in stills if str(p.type) == name]
        out.append({"type": name, **scored(part, resamples, seed)})
    return out


def _difference(sums: Array) -> Array:
    seen_right, right, seen_wrong, wrong = np.moveaxis(sums, -1, 0)
    share = seen_right / np.maximum(right, 1e-12)
    return share - seen_wrong / np.maximum(wrong, 1e-12)


def _clip(prediction: Prediction) -> _Clip:
    return prediction.video, prediction.start, prediction.end
