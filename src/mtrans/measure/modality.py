"""Do words and pictures agree, and whom does the model follow where they don't?

Three sets of predictions on the same questions: the full model, one that was given the text alone,
one that was given the pictures (and the question, without its dialogue) alone. Where text alone is
wrong pictures are needed, where pictures alone are wrong the dialogue is; where the two answer
differently, modalities are in conflict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtrans.core.records import Prediction
from mtrans.measure.intervals import RESAMPLES
from mtrans.measure.metrics import is_right, said
from mtrans.measure.mistakes import known_choices, scored
from mtrans.measure.predictions import PredictionsError


def modality(
    predictions: Sequence[Prediction],
    text_only: Sequence[Prediction],
    vision_only: Sequence[Prediction] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Scores the full model by what each modality alone says.

    Args:
        predictions: Of the full model.
        text_only: Of a model that was given the text alone.
        vision_only: Of a model that was given the pictures alone; None leaves out what the dialogue
            adds, and conflicts.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``parts``: rows with ``part``, the full model's accuracy with its interval, and the
        accuracies ``text`` and ``vision``; ``follows``: where modalities are in conflict, how
        often the full model says what the text, the pictures, or neither says.

    Raises:
        PredictionsError: The sets share no question.
    """
    known = known_choices(predictions)
    text = {p.id: p for p in text_only}
    vision = None if vision_only is None else {p.id: p for p in vision_only}
    known = [p for p in known if p.id in text and (vision is None or p.id in vision)]
    if not known:
        raise PredictionsError(
            f"none of {len(predictions)} questions was answered by the runs of one modality as"
            " well; give their predictions on the same manifest"
        )
    parts: dict[str, list[Prediction]] = {}
    for p in known:
        parts.setdefault(f"text alone {_outcome(text[p.id])}", []).append(p)
    follows = {"text": 0, "vision": 0, "neither": 0}
    if vision is not None:
        for p in known:
            parts.setdefault(f"pictures alone {_outcome(vision[p.id])}", []).append(p)
            a, b = said(text[p.id]), said(vision[p.id])
            parts.setdefault("in agreement" if a == b else "in conflict", []).append(p)
            if a != b:
                side = "text" if said(p) == a else "vision" if said(p) == b else "neither"
                follows[side] += 1
    rows = []
    for name in sorted(parts):
        row = {"part": name, **scored(parts[name], resamples, seed)}
        row["text"] = _accuracy([text[p.id] for p in parts[name]])
        row["vision"] = None if vision is None else _accuracy([vision[p.id] for p in parts[name]])
        rows.append(row)
    return {"n": len(known), "parts": rows, "follows": follows if vision is not None else None}


def _outcome(prediction: Prediction) -> str:
    return "right" if is_right(prediction) else "wrong"


def _accuracy(predictions: Sequence[Prediction]) -> float:
    return sum(map(is_right, predictions)) / len(predictions)
