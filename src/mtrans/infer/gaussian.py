"""How unlike the training clips a clip is: a Gaussian around what the model makes of them.

Mahalanobis distance (Lee et al., NeurIPS 2018) of one mean vector a clip, with a covariance shrunk
towards a multiple of the identity (Ledoit and Wolf, 2004), since there are few clips and many
dimensions. The threshold is the distance below which 95 % of training clips lie that the Gaussian
has not seen.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrans.core.errors import CheckpointError, OutputError, SettingsError

Array = NDArray[np.float64]

OOD_FILE = "ood.npz"
"""Name in the run folder."""

FEWEST = 20
"""Clips below which nothing is fitted."""

HELD_OUT = 0.25
"""Share of clips kept for the threshold."""

INSIDE = 0.95
"""Share of those that shall lie below it."""


@dataclass(frozen=True)
class Gaussian:
    """What training clips look like to the model.

    Attributes:
        mean: float[C].
        precision: float[C, C], inverse of the shrunk covariance.
        threshold: Distance beyond which a clip is called strange.
        n: Clips it was fitted on.
    """

    mean: Array
    precision: Array
    threshold: float
    n: int

    def distance(self, features: Array) -> Array:
        """Returns Mahalanobis distances float[n] of features float[n, C]."""
        away = np.atleast_2d(features) - self.mean
        return np.sqrt(np.maximum(np.einsum("nc,cd,nd->n", away, self.precision, away), 0.0))

    def save(self, run: Path) -> Path:
        """Writes it into a run folder, whole or not at all."""
        path = run / OOD_FILE
        partial = path.with_name(f".{os.getpid()}.{OOD_FILE}")
        try:
            np.savez(
                partial,
                mean=self.mean,
                precision=self.precision,
                threshold=self.threshold,
                n=self.n,
            )
            partial.replace(path)
        except OSError as error:
            raise OutputError(f"'{path}' can't be written: {error.strerror}") from error
        finally:
            partial.unlink(missing_ok=True)
        return path


def read_gaussian(run: Path) -> Gaussian:
    """Reads what was stored with a run.

    Raises:
        CheckpointError: Nothing, or damaged.
    """
    path = run / OOD_FILE
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return Gaussian(
                stored["mean"], stored["precision"], float(stored["threshold"]), int(stored["n"])
            )
    except FileNotFoundError as error:
        raise CheckpointError(
            f"'{run}' does not know its training clips; run `mtrans ood {run} --fit TRAIN.jsonl`"
        ) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"'{path}' is damaged; run `mtrans ood {run} --fit` again") from error


def fit(features: Array, *, seed: int = 0) -> Gaussian:
    """Fits mean, covariance and threshold.

    Args:
        features: float[n, C], one a clip.
        seed: Of the draw of the clips kept for the threshold.

    Raises:
        SettingsError: Too few clips.
    """
    n = len(features)
    if n < FEWEST:
        raise SettingsError(f"{n} clips to fit on; wanted {FEWEST} or more")
    order = np.random.default_rng(seed).permutation(n)
    kept = max(1, round(n * HELD_OUT))
    inside, held = features[order[kept:]], features[order[:kept]]
    fitted = Gaussian(
        np.asarray(inside.mean(axis=0), np.float64),
        np.asarray(np.linalg.inv(shrunk(inside)), np.float64),
        0.0,
        len(inside),
    )
    threshold = float(np.quantile(fitted.distance(held), INSIDE))
    return Gaussian(fitted.mean, fitted.precision, threshold, fitted.n)


def shrunk(features: Array) -> Array:
    """Returns the Ledoit-Wolf covariance float[C, C] of float[n, C]."""
    away = features - features.mean(axis=0)
    n, width = away.shape
    empirical = away.T @ away / n
    scale = float(np.trace(empirical)) / width
    target = scale * np.eye(width)
    spread = float(((empirical - target) ** 2).sum())
    squares = away**2
    error = float((squares.T @ squares / n - empirical**2).sum()) / n
    share = 0.0 if spread == 0 else min(1.0, error / spread)
    # a direction in which nothing varies must not be infinitely far
    return (1 - share) * empirical + share * target + 1e-8 * max(scale, 1e-12) * np.eye(width)
