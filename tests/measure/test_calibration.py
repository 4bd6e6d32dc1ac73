"""Confidence: each number against scikit-learn or by hand, and cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from measure.helpers import choice_prediction
from mtrans.measure.apply import measure
from mtrans.measure.calibration import best_aurc, binned, bins_of, calibration_error, confidence_of
from mtrans.measure.metrics import METRICS
from mtrans.measure.predictions import PredictionsError
from mtrans.measure.trust import reliability, selective, trust

YES_NO = ("yes", "no")


def synthetic(n: int, over: float = 0.0, seed: int = 0, per_video: int = 1) -> list:
    """Answers yes or no with a confidence that is `over` above the chance of being right."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        sure = float(rng.uniform(0.5 + over, 1.0))
        choice = int(rng.integers(2))
        label = choice if rng.random() < sure - over else 1 - choice
        shares = (sure, 1 - sure) if choice == 0 else (1 - sure, sure)
        video = f"/clips/{i // per_video}.mp4"
        p = choice_prediction(i, label, choice, choices=YES_NO, probabilities=shares, video=video)
        out.append(p)
    return out


def many_choices(n: int, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([1.0] * 4, size=n)
    labels = [int(rng.choice(4, p=s)) for s in shares]
    return [
        choice_prediction(i, label, int(s.argmax()), probabilities=tuple(map(float, s)))
        for i, (s, label) in enumerate(zip(shares, labels, strict=True))
    ]


def value(name: str, predictions: list) -> float:
    return METRICS.get(name).statistics(predictions).value()


def test_brier_nll_and_auroc_equal_scikit_learns() -> None:
    items = many_choices(300)
    shares = np.array([p.probabilities for p in items])
    labels = np.array([p.label for p in items])
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    one_hot = np.eye(4)[labels]
    # over both classes of each candidate scikit-learn's binary score is half of ours, per candidate
    by_hand = sum(brier_score_loss(one_hot[:, k], shares[:, k]) for k in range(4))
    assert value("brier", items) == pytest.approx(by_hand)
    assert value("nll", items) == pytest.approx(log_loss(labels, shares, labels=range(4)))
    assert value("confidence_auroc", items) == pytest.approx(roc_auc_score(right, confidence))


def test_auroc_takes_ties_as_half() -> None:
    rng = np.random.default_rng(1)
    said, right = rng.choice([0.6, 0.7, 0.8], 60), rng.random(60) < 0.6
    items = [
        choice_prediction(i, 0 if r else 1, 0, choices=YES_NO, probabilities=(s, 1 - s))
        for i, (s, r) in enumerate(zip(said, right, strict=True))
    ]
    assert value("confidence_auroc", items) == pytest.approx(roc_auc_score(right, said))


def test_bins_equal_scikit_learns_quantile_curve() -> None:
    items = synthetic(600, over=0.1)
    confidence = confidence_of(items)
    accuracy, mean = calibration_curve(
        confidence.right, confidence.said, n_bins=10, strategy="quantile"
    )
    sums = np.asarray(binned(confidence, bins_of(confidence.said, 10)).sum(axis=0))
    said, right, size = np.split(sums, 3)
    assert said / size == pytest.approx(mean)
    assert right / size == pytest.approx(accuracy)
    plain = float(np.sum(size * np.abs(accuracy - mean)) / 600)
    assert calibration_error(sums, debias=False) == pytest.approx(plain)


def test_the_debiased_error_is_kumars_estimate() -> None:
    confidence = confidence_of(synthetic(400, over=0.05))
    sums = np.asarray(binned(confidence, bins_of(confidence.said, 8)).sum(axis=0))
    said, right, size = np.split(sums, 3)
    accuracy = right / size
    spread = np.sqrt(accuracy * (1 - accuracy) / (size - 1))
    noise = np.random.default_rng(0).normal(size=(200_000, len(size))) * spread
    weights, distance = size / size.sum(), np.abs(accuracy - said / size)
    noisy = float(np.mean(np.abs(accuracy + noise - said / size) @ weights))
    wanted = 2 * float(distance @ weights) - noisy
    assert calibration_error(sums) == pytest.approx(wanted, abs=2e-4)


def test_a_calibrated_predictor_has_almost_no_error_an_overconfident_one_the_known_error() -> None:
    true, over = synthetic(3000), synthetic(3000, over=0.2)
    # noise of the bins alone: half of sqrt(0.19 / 200) is left after debiasing
    assert value("ece", true) < 0.025
    assert value("overconfidence", true) == pytest.approx(0.0, abs=0.02)
    assert value("ece", over) == pytest.approx(0.2, abs=0.02)
    assert value("overconfidence", over) == pytest.approx(0.2, abs=0.02)


def test_debiasing_brings_small_samples_nearer_to_the_truth() -> None:
    plain, debiased = [], []
    for seed in range(30):
        confidence = confidence_of(synthetic(200, seed=seed))
        sums = np.asarray(binned(confidence, bins_of(confidence.said, 10)).sum(axis=0))
        plain.append(float(calibration_error(sums, debias=False)))
        debiased.append(float(calibration_error(sums)))
    assert np.mean(plain) > 0.06
    assert np.mean(debiased) < 0.7 * np.mean(plain)


def test_the_interval_of_the_calibration_error_covers_the_truth() -> None:
    # in 150 draws each the interval covers an error of 0.05 in 95 %, and of 0.15 in 93 %; not
    # centred it would cover 0.05 in 68 %
    inside = 0
    for seed in range(30):
        (score,) = measure(synthetic(300, over=0.05, seed=seed), ["ece"], resamples=200)
        assert score.low <= score.value <= score.high
        inside += score.low <= 0.05 <= score.high
    assert inside >= 26


def test_intervals_are_drawn_over_videos() -> None:
    # each answer ten times over, as ten questions about one video
    single = synthetic(100, over=0.1)
    tenfold = [
        choice_prediction(
            10 * i + k,
            p.label,
            p.choice,
            choices=YES_NO,
            probabilities=p.probabilities,
            video=p.video,
        )
        for i, p in enumerate(single)
        for k in range(10)
    ]
    a, b = (measure(items, ["overconfidence"])[0] for items in (single, tenfold))
    assert b.high - b.low == pytest.approx(a.high - a.low, rel=0.15)


def test_aurc_by_hand() -> None:
    # surest first: right, wrong, right, wrong -> risks 0, 1/2, 1/3, 1/2
    items = [
        choice_prediction(i, label, 0, choices=YES_NO, probabilities=(s, 1 - s))
        for i, (label, s) in enumerate([(0, 0.9), (1, 0.8), (0, 0.7), (1, 0.6)])
    ]
    assert value("aurc", items) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    # the best order puts both errors last: risks 0, 0, 1/3, 2/4
    assert best_aurc(2, 4) == pytest.approx((1 / 3 + 2 / 4) / 4)


def test_selective_answers_at_each_coverage() -> None:
    rows = selective(synthetic(2000), resamples=100)
    assert rows[-1]["coverage"] == 1.0
    assert [r["coverage"] for r in rows] == sorted(r["coverage"] for r in rows)
    half = next(r for r in rows if r["coverage"] == pytest.approx(0.5))
    # confidence is uniform on 0.5 to 1 and true: the surer half is right in 7/8 of cases
    assert half["accuracy"] == pytest.approx(0.875, abs=0.03)
    assert half["threshold"] == pytest.approx(0.75, abs=0.02)
    assert half["low"] < 0.875 < half["high"]


def test_a_bin_that_is_all_right_has_an_interval_with_width() -> None:
    items = [
        choice_prediction(i, 0, 0, choices=YES_NO, probabilities=(0.9, 0.1)) for i in range(30)
    ]
    (row,) = reliability(items, resamples=50)
    assert row["accuracy"] == row["accuracy_high"] == 1.0
    assert 0.8 < row["accuracy_low"] < 0.95


def test_draws_of_answers_without_probabilities_do_not_count() -> None:
    scored = choice_prediction(0, 0, 0, choices=YES_NO, probabilities=(0.7, 0.3))
    (score,) = measure([scored, choice_prediction(1, 0, None, choices=YES_NO)], ["nll"])
    assert score.value == score.low == score.high == pytest.approx(-np.log(0.7))


def test_without_probabilities_there_is_nothing_to_measure() -> None:
    items = [choice_prediction(i, 0, 0) for i in range(5)]
    with pytest.raises(PredictionsError, match="probabilities"):
        trust(items)
    mixed = [*items, *synthetic(40)]
    assert trust(mixed, resamples=20)["left_out"] == 5
    assert value("nll", mixed) == pytest.approx(value("nll", mixed[5:]))
