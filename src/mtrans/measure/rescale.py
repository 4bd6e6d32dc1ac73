"""Validation predictions -> a :class:`~mtrans.core.calibration.Calibration`.

Both methods minimise the negative log-probability of the right candidates. A wide normal prior
(standard deviation 2) on the logarithm of the slope and on each bias keeps them finite where a few
clips are all answered right; on hundreds of questions it changes nothing that matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mtrans.core.calibration import Calibration, Method
from mtrans.core.files import file_hash
from mtrans.core.records import Prediction
from mtrans.measure.calibration import FLOOR
from mtrans.measure.metrics import Array
from mtrans.measure.predictions import PredictionsError, read_predictions

FEWEST = 20
"""Questions below which nothing is fitted, and uses below which a text gets no bias."""

WIDTH = 2.0
"""Standard deviation of the prior."""


class Scores(NamedTuple):
    """The candidates of n questions, padded to c.

    Attributes:
        values: float[n, c] log-likelihoods; -inf is padding.
        labels: int64[n].
        texts: int64[n, c], number of the candidate's text, -1 for texts without a bias.
        names: The texts, by number.
        clips: Distinct videos.
    """

    values: Array
    labels: NDArray[np.int64]
    texts: NDArray[np.int64]
    names: list[str]
    clips: int


def fit_file(path: str | Path, method: Method = "temperature") -> Calibration:
    """Fits a calibration on a predictions file.

    Args:
        path: Predictions on validation clips, with known answers.
        method: ``temperature`` or ``platt``.

    Raises:
        PredictionsError: The file is missing or damaged, or holds too few scored questions.
    """
    path = Path(path)
    found = fit(read_predictions(path), method)
    return Calibration(**{**found.to_json(), "fitted_on": path.name, "sha256": file_hash(path)})


def fit(predictions: Sequence[Prediction], method: Method = "temperature") -> Calibration:
    """Fits a calibration.

    Args:
        predictions: Those with candidates, a known answer and likelihoods count.
        method: ``temperature`` or ``platt``.

    Raises:
        PredictionsError: Fewer than :data:`FEWEST` of them count.
    """
    scores = scores_of(predictions)
    count = len(scores.names) if method == "platt" else 0
    start = np.zeros(1 + count)
    best = minimize(_objective, start, args=(scores,), jac=True, method="L-BFGS-B")
    slope = float(np.exp(best.x[0]))
    n = len(scores.labels)
    return Calibration(
        method=method,
        slope=slope,
        bias={name: float(b) for name, b in zip(scores.names, best.x[1:], strict=False)},
        n=n,
        clips=scores.clips,
        nll_before=_fit_and_gradient(start, scores)[0] / n,
        nll_after=_fit_and_gradient(best.x, scores)[0] / n,
    )


def scores_of(predictions: Sequence[Prediction]) -> Scores:
    """Returns the log-likelihoods of the candidates; logarithms of probabilities where missing.

    Raises:
        PredictionsError: Fewer than :data:`FEWEST` questions have them.
    """
    kept, rows = [], []
    for p in predictions:
        if p.choices is None or p.label is None or p.error is not None:
            continue
        if p.log_likelihoods is not None:
            row = np.asarray(p.log_likelihoods, dtype=np.float64)
        elif p.probabilities is not None:
            row = np.log(np.maximum(p.probabilities, FLOOR))
        else:
            continue
        kept.append(p)
        rows.append(row - row.max())
    if len(kept) < FEWEST:
        raise PredictionsError(
            f"{len(kept)} of {len(predictions)} predictions have candidates, a known answer and"
            f" likelihoods; calibration wants {FEWEST} or more: give validation predictions"
        )
    uses = Counter(text for p in kept for text in p.choices or ())
    names = sorted(text for text, count in uses.items() if count >= FEWEST)
    index = {name: i for i, name in enumerate(names)}
    values = np.full((len(kept), max(map(len, rows))), -np.inf)
    texts = np.full(values.shape, -1, dtype=np.int64)
    for i, (p, row) in enumerate(zip(kept, rows, strict=True)):
        values[i, : len(row)] = row
        texts[i, : len(row)] = [index.get(text, -1) for text in p.choices or ()]
    labels = np.array([p.label for p in kept], dtype=np.int64)
    return Scores(values, labels, texts, names, len({p.video or p.id for p in kept}))


def _objective(x: Array, scores: Scores) -> tuple[float, Array]:
    """Returns the negative log posterior and its gradient."""
    value, gradient = _fit_and_gradient(x, scores)
    return value + float(x @ x) / (2 * WIDTH**2), gradient + x / WIDTH**2


def _fit_and_gradient(x: Array, scores: Scores) -> tuple[float, Array]:
    """Returns the summed negative log-probability of the labels, and its gradient."""
    slope = np.exp(x[0])
    bias = np.append(x[1:], 0.0) if len(x) > 1 else None
    there = np.isfinite(scores.values)
    values = np.where(there, scores.values, 0.0)
    z = slope * values + (bias[scores.texts] if bias is not None else 0.0)
    z = np.where(there, z, -np.inf)
    z = z - z.max(axis=1, keepdims=True)
    weights = np.exp(z)
    total = weights.sum(axis=1)
    rows = np.arange(len(z))
    loss = float(np.sum(np.log(total) - z[rows, scores.labels]))
    away = weights / total[:, None]
    away[rows, scores.labels] -= 1
    gradient = np.zeros_like(x)
    gradient[0] = slope * float((away * values).sum())
    if bias is not None:
        sums = np.bincount(scores.texts[there] + 1, weights=away[there], minlength=len(bias))
        gradient[1:] = sums[1:]  # the first counts texts without a bias
    return loss, gradient
