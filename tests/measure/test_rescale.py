"""Temperature and Platt scaling: against scikit-learn, and on likelihoods known to be off."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from measure.helpers import choice_prediction
from mtrans.core.calibration import recalibrated
from mtrans.measure.metrics import METRICS
from mtrans.measure.predictions import PredictionsError, write_predictions
from mtrans.measure.rescale import _objective, fit, fit_file, scores_of

YES_NO = ("yes", "no")


def answers(n: int, *, too_sure: float = 1.0, towards_yes: float = 0.0, seed: int = 0) -> list:
    """Log-likelihoods whose true slope is 1 / too_sure, with a constant added to yes."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        margin = float(rng.normal(0, 2))
        label = 0 if rng.random() < 1 / (1 + np.exp(-margin)) else 1
        scores = (too_sure * margin + towards_yes, 0.0)
        choice = int(np.argmax(scores))
        p = choice_prediction(i, label, choice, choices=YES_NO, log_likelihoods=scores)
        out.append(p)
    return out


def test_the_temperature_is_found_again() -> None:
    found = fit(answers(3000, too_sure=3.0))
    assert 1 / found.slope == pytest.approx(3.0, rel=0.08)
    assert found.bias == {}
    assert found.nll_after < found.nll_before
    assert (found.n, found.clips) == (3000, 3000)


def test_platt_scaling_is_logistic_regression_on_the_difference() -> None:
    items = answers(800, too_sure=2.0, towards_yes=1.5)
    found = fit(items, "platt")
    margins = np.array([[p.log_likelihoods[0] - p.log_likelihoods[1]] for p in items])
    reference = LogisticRegression(C=1e6).fit(margins, [p.label == 0 for p in items])
    assert found.slope == pytest.approx(float(reference.coef_[0, 0]), rel=0.02)
    offset = found.bias["yes"] - found.bias["no"]
    assert offset == pytest.approx(float(reference.intercept_[0]), abs=0.03)
    assert offset == pytest.approx(-1.5 / 2, abs=0.25)


def test_the_gradient_is_that_of_the_objective() -> None:
    scores = scores_of(answers(40, towards_yes=0.5))
    for x in (np.array([0.3]), np.array([-0.4, 0.2, -0.7])):
        error = check_grad(
            lambda x: _objective(x, scores)[0], lambda x: _objective(x, scores)[1], x
        )
        assert error < 1e-4


def test_calibrated_on_one_half_the_other_half_is_calibrated() -> None:
    items = answers(4000, too_sure=4.0)
    calibration = fit(items[:2000])
    before = [recalibrated(p, None) for p in items[2000:]]
    after = [recalibrated(p, calibration) for p in items[2000:]]
    error = METRICS.get("ece").statistics
    assert error(before).value() > 0.1
    assert error(after).value() < 0.03
    assert [p.answer for p in before] == [p.answer for p in after]


def test_a_few_clips_that_are_all_right_do_not_make_it_certain() -> None:
    items = [dataclasses.replace(p, label=p.choice, target=p.answer) for p in answers(25)]
    assert fit(items).slope < 20


def test_candidates_of_different_number_and_rare_texts_get_no_bias() -> None:
    items = answers(60)
    odd = choice_prediction(
        99, 1, 1, choices=("a", "b", "c"), log_likelihoods=(-2.0, -1.0, -3.0), id="odd"
    )
    assert set(fit([*items, odd], "platt").bias) == {"yes", "no"}


def test_too_few_questions_are_refused() -> None:
    with pytest.raises(PredictionsError, match="20 or more"):
        fit(answers(19))


def test_a_file_is_named_in_what_was_fitted(tmp_path) -> None:
    path = tmp_path / "predictions_val.jsonl"
    write_predictions(path, answers(30))
    found = fit_file(path, "platt")
    assert found.fitted_on == "predictions_val.jsonl"
    assert len(found.sha256) == 64
    assert found.bias == fit(answers(30), "platt").bias
