"""``predictions.jsonl`` -> ``scores.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.files import file_hash, write_text
from mtrans.core.records import Score
from mtrans.measure.apply import default_metrics, measure, of_task
from mtrans.measure.breakdown import breakdown, slices
from mtrans.measure.intervals import LEVEL, RESAMPLES, Cluster
from mtrans.measure.lengths import with_lengths
from mtrans.measure.metrics import METRICS
from mtrans.measure.predictions import PredictionsError, beside, read_predictions

SCHEMA = 1
"""Version of the layout of ``scores.json``."""


def score_predictions(
    path: str | Path,
    *,
    out: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    cluster: Cluster = "video",
    cost: Mapping[str, Any] | None = None,
) -> list[Score]:
    """Measures a predictions file, overall and by part, and writes the scores beside it.

    Multiple choice gets the accuracy family, open answers exact match, ROUGE and METEOR; a file
    with both gets both, each over its own questions.

    Args:
        path: A ``predictions.jsonl``.
        out: Where to write; None is ``scores.json`` beside ``predictions.jsonl``, and the file's
            own name otherwise (:func:`scores_path`).
        metrics: Names; None takes those that fit the task.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.
        cluster: What is drawn as a whole.
        cost: What an answer cost, written beside the scores.

    Returns:
        Scores over all predictions (empty `slice`), then those of the parts.

    Raises:
        PredictionsError: The file is missing or damaged, or no right answer is known, or
            the scores can't be written.
        SettingsError: Unknown metric.
    """
    path = Path(path)
    predictions = with_lengths(read_predictions(path))
    known = of_task(predictions, "any")
    if not known:
        raise PredictionsError(
            f"{path}: none of {len(predictions)} predictions has a known right answer ('target' or"
            " 'label'); nothing can be measured"
        )
    names = default_metrics(predictions) if metrics is None else list(metrics)
    scores = measure(predictions, names, resamples=resamples, seed=seed, cluster=cluster)
    scores += breakdown(predictions, resamples=resamples, seed=seed, cluster=cluster)
    document = {
        "schema": SCHEMA,
        "predictions": path.name,
        "sha256": file_hash(path),
        "n": len(predictions),
        "without_target": len(predictions) - len(known),
        "errors": sum(p.error is not None for p in predictions),
        "interval": {
            "method": f"percentile bootstrap over {cluster}s",
            "level": LEVEL,
            "resamples": resamples,
            "seed": seed,
        },
        "metrics": {s.metric: METRICS.get(s.metric).about for s in scores},
        "notes": slices(known)[1],
        "scores": [s.to_json() for s in scores],
    }
    if cost:
        document["cost"] = dict(cost)
    target = Path(out) if out is not None else scores_path(path)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    try:
        write_text(target, text)
    except OSError as error:
        raise PredictionsError(f"scores '{target}' can't be written: {error.strerror}") from error
    return scores


def read_scores(path: str | Path) -> tuple[list[Score], dict[str, Any]]:
    """Reads a scores file.

    Returns:
        The scores, and the whole document.

    Raises:
        PredictionsError: Missing, damaged, or of another schema.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise PredictionsError(
                f"{path} has schema {document['schema']}, this version reads {SCHEMA};"
                " run `mtrans eval` again"
            )
        return [Score(**entry) for entry in document["scores"]], document
    except OSError as error:
        raise PredictionsError(f"scores file '{path}' can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PredictionsError(f"{path} is not a scores file ({error}); measure again") from error


def scores_path(predictions: str | Path) -> Path:
    """Returns where the scores of a predictions file are kept."""
    return beside(predictions, "scores")
