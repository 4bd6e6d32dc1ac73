"""A probe on frozen hidden states: logistic regression, its layer, pooling and C chosen on val.

    train states --standardise, logistic regression--> answers      for each layer, pooling and C
    val answers  --accuracy--> the choice                           ties take the stronger penalty
    test answers --by the chosen one, once

Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrans.core.errors import SettingsError
from mtrans.core.records import Prediction, Sample
from mtrans.measure.apply import measure
from mtrans.study.floors import answer_by_kind, varying
from mtrans.study.results import main_metric
from mtrans.study.text_control.states import POOLINGS

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Candidates of C, the inverse penalty on standardised states; the strongest penalty first."""

States = Mapping[str, NDArray[np.float32]]
"""Sample's id -> float32[layers, 2, D]."""


@dataclass(frozen=True)
class Choice:
    """A probe.

    Attributes:
        layer: Hidden state that is read.
        pooling: ``mean`` or ``last``.
        c: Inverse penalty.
        accuracy: On validation (exact match where answers are open).
    """

    layer: int
    pooling: str
    c: float
    accuracy: float


def check_samples(samples: Sequence[Sample]) -> None:
    """Holds that questions of a type have the same candidates: a probe reads no candidates.

    Raises:
        SettingsError: They have not.
    """
    if differing := varying(samples):
        raise SettingsError(
            f"questions of type '{min(map(str, differing))}' have candidates of their own; a probe"
            " reads none, so it can only answer questions whose candidates are the same"
        )


def choose_probe(
    train: Sequence[Sample], val: Sequence[Sample], states: States, layers: Sequence[int]
) -> list[Choice]:
    """Tries every layer, pooling and C.

    Args:
        train: To fit on.
        val: To choose on.
        states: Of both.
        layers: Which layers the states are of.

    Returns:
        All probes, the best one first.
    """
    tried = []
    for c, layer, pooling in itertools.product(PENALTIES, layers, POOLINGS):
        found = answer(train, val, states, layers, Choice(layer, pooling, c, 0.0))
        (score,) = measure(found, [main_metric(found)], resamples=2)
        tried.append(Choice(layer, pooling, c, score.value))
    return sorted(tried, key=lambda probe: -probe.accuracy)  # stable: ties keep their order


def answer(
    train: Sequence[Sample],
    asked: Sequence[Sample],
    states: States,
    layers: Sequence[int],
    probe: Choice,
) -> list[Prediction]:
    """Fits a probe, one for each type of question, and answers with it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    place, pooled = layers.index(probe.layer), POOLINGS.index(probe.pooling)

    def rows(samples: Sequence[Sample]) -> NDArray[np.float64]:
        return np.stack([states[s.id][place, pooled] for s in samples]).astype(np.float64)

    def guess(
        some: Sequence[Sample], classes: list[str], questions: Sequence[Sample]
    ) -> tuple[list[str], NDArray[Any]]:
        if len(set(classes)) == 1:
            return classes[:1], np.ones((len(questions), 1))
        fitted = make_pipeline(StandardScaler(), LogisticRegression(C=probe.c, max_iter=5000))
        fitted.fit(rows(some), classes)
        return [str(c) for c in fitted.classes_], fitted.predict_proba(rows(questions))

    return answer_by_kind(train, asked, guess)
