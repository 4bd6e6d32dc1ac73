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
