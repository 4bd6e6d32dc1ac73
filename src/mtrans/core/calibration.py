"""Probabilities that mean what they say: fitted on validation, applied to every answer.

    log-likelihoods of the candidates -- slope, bias of a candidate's text --> softmax --> shares

Temperature scaling (Guo et al., ICML 2017) has a slope alone, 1 / temperature: the likeliest
candidate stays the likeliest. Platt scaling (Platt, 1999) adds a bias for each answer text, so it
also moves answers that a model gives too often; with two candidates it is Platt's logistic curve.
The numbers are fitted by :mod:`mtrans.measure.rescale` and kept in a run's ``calibration.json``.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mtrans.core.errors import CheckpointError
from mtrans.core.files import write_text
from mtrans.core.records import Prediction

CALIBRATION_FILE = "calibration.json"
"""Name of the file in a run folder."""

Method = Literal["temperature", "platt"]


@dataclass(frozen=True)
class Calibration:
    """How log-likelihoods become probabilities.

    Attributes:
        method: ``temperature`` or ``platt``.
        slope: Factor on the log-likelihoods, above 0; the temperature is its reciprocal.
        bias: Answer text -> what is added to its scaled log-likelihood; 0 for texts not named.
        fitted_on: Name of the predictions' file it was fitted on.
        sha256: Of that file.
        n: Questions it was fitted on.
        clips: Videos it was fitted on.
        nll_before: Mean negative log-probability of the right candidate on them, as it was.
        nll_after: The same, calibrated.
    """

    method: Method
    slope: float
    bias: Mapping[str, float] = field(default_factory=dict)
    fitted_on: str = ""
    sha256: str = ""
    n: int = 0
    clips: int = 0
    nll_before: float | None = None
    nll_after: float | None = None

    def probabilities(
        self, log_likelihoods: Sequence[float], choices: Sequence[str]
    ) -> tuple[float, ...]:
        """Returns the calibrated probabilities of candidates, float[n] summing to 1."""
        pairs = zip(log_likelihoods, choices, strict=True)
        return softmax([self.slope * score + self.bias.get(text, 0.0) for score, text in pairs])

    def to_json(self) -> dict[str, Any]:
        """Returns the record as it is kept on disk."""
        return dataclasses.asdict(self)


def softmax(scores: Sequence[float]) -> tuple[float, ...]:
    """Returns float[n] shares of exp(scores)."""
    top = max(scores)
    weights = [math.exp(s - top) for s in scores]
    total = math.fsum(weights)
    return tuple(w / total for w in weights)


def recalibrated(prediction: Prediction, calibration: Calibration | None) -> Prediction:
    """Returns a prediction with the probabilities, and the answer, that its likelihoods now give.

    Args:
        prediction: One that was scored by its candidates' likelihoods; others come back unchanged.
        calibration: None gives the plain softmax of the log-likelihoods.

    Returns:
        The prediction; `log_likelihoods` stay as the model gave them.
    """
    scores, choices = prediction.log_likelihoods, prediction.choices
    if scores is None or choices is None or prediction.parse != "scored":
        return prediction
    shares = calibration.probabilities(scores, choices) if calibration else softmax(scores)
    choice = max(range(len(shares)), key=shares.__getitem__)
    return dataclasses.replace(
        prediction, probabilities=shares, choice=choice, answer=choices[choice]
    )


def write_calibration(folder: str | Path, calibration: Calibration) -> Path:
    """Writes calibration.json into a run folder, whole or not at all.

    Raises:
        CheckpointError: It can't be written.
    """
    path = Path(folder) / CALIBRATION_FILE
    try:
        write_text(path, json.dumps(calibration.to_json(), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise CheckpointError(f"'{path}' can't be written: {error.strerror}") from error
    return path


def read_calibration(folder: str | Path) -> Calibration | None:
    """Reads calibration.json of a run folder; None where there is none.

    Raises:
        CheckpointError: It is damaged.
    """
    path = Path(folder) / CALIBRATION_FILE
    if not path.is_file():
        return None
    again = "fit it again with `mtrans calibrate`"
    try:
        found = Calibration(**json.loads(path.read_text(encoding="utf-8")))
        numbers = [found.slope, *found.bias.values()]
        good = found.method in ("temperature", "platt") and found.slope > 0
        good = good and all(math.isfinite(number) for number in numbers)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"'{path}' is damaged ({error}); {again}") from error
    if not good:
        raise CheckpointError(f"'{path}' is damaged: method, slope or bias is wrong; {again}")
    return found
