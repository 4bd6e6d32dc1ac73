"""Distance from the training clips, on Gaussians whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.infer.gaussian import OOD_FILE, fit, read_gaussian, shrunk
from mtrans.measure.ood import auroc, auroc_interval, compare


def drawn(n: int, shift: float = 0.0, seed: int = 0, width: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(9).normal(size=(width, width))
    return rng.normal(size=(n, width)) @ mix + shift


def test_separated_clips_are_told_apart_and_equal_ones_are_not() -> None:
    fitted = fit(drawn(400))
    known = fitted.distance(drawn(300, seed=1))
    far = fitted.distance(drawn(300, shift=30.0, seed=2))
    same = fitted.distance(drawn(300, seed=3))
    assert auroc(known, far) > 0.99
    assert auroc(known, same) == pytest.approx(0.5, abs=0.06)
    ends = auroc_interval(known, same, resamples=200)
    assert ends.low < 0.5 < ends.high


def test_the_limit_lets_most_known_clips_pass() -> None:
    fitted = fit(drawn(2000))
    found = compare(
        {"distance": fitted.distance(drawn(1000, seed=1))},
        {"distance": fitted.distance(drawn(1000, shift=30.0, seed=2))},
        fitted.threshold,
    )
    assert found["distance"]["warned_known"] == pytest.approx(0.05, abs=0.03)
    assert found["distance"]["warned_strange"] > 0.95


def test_distance_follows_the_spread_of_each_direction() -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(5000, 2)) * np.array([10.0, 1.0])
    fitted = fit(wide)
    along, across = fitted.distance(np.array([[10.0, 0.0], [0.0, 10.0]]))
    assert along == pytest.approx(1.0, abs=0.1)
    assert across == pytest.approx(10.0, abs=0.7)


@pytest.mark.parametrize(("n", "width"), [(200, 5), (20, 40)])
def test_the_covariance_is_ledoit_and_wolfs(n: int, width: int) -> None:
    reference = pytest.importorskip("sklearn.covariance", reason="scikit-learn is not installed")
    features = drawn(n, width=width)
    wanted = reference.ledoit_wolf(features)[0]
    assert np.allclose(shrunk(features), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_it_is_stored_with_the_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="--fit TRAIN"):
        read_gaussian(tmp_path)
    fitted = fit(drawn(60))
    fitted.save(tmp_path)
    again = read_gaussian(tmp_path)
    one = drawn(1, seed=5)
    assert again.distance(one) == pytest.approx(fitted.distance(one))
    assert (again.threshold, again.n) == (fitted.threshold, fitted.n)
    whole = (tmp_path / OOD_FILE).read_bytes()
    for damaged in (b"no", b"", whole[: len(whole) // 2]):
        (tmp_path / OOD_FILE).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            read_gaussian(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [OOD_FILE]
    with pytest.raises(SettingsError, match="wanted 20"):
        fit(drawn(5))
