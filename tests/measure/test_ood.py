"""AUROC of strangeness by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtrans.measure.ood import auroc, compare


def test_auroc_by_hand() -> None:
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0.0
    assert auroc(np.array([1.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx(0.625)


def test_names_that_only_one_side_has_are_left_out() -> None:
    inside = {"distance": np.array([1.0, 2.0]), "confidence": np.array([0.1, 0.2])}
    found = compare(inside, {"distance": np.array([3.0, 4.0])}, 2.5)
    assert list(found) == ["distance"]
    assert found["distance"]["auroc"] == 1.0
    assert (found["distance"]["warned_known"], found["distance"]["warned_strange"]) == (0.0, 1.0)


def test_a_few_clips_that_are_all_told_apart_are_no_certainty() -> None:
    found = compare({"distance": np.arange(5.0)}, {"distance": np.arange(10.0, 50.0)}, 4.5)
    assert (found["distance"]["auroc"], found["distance"]["high"]) == (1.0, 1.0)
    assert found["distance"]["low"] == pytest.approx(0.478, abs=1e-3)  # Clopper-Pearson, 5 of 5
