from __future__ import annotations

import time

import numpy as np
import pytest

from measure.helpers import choice_prediction, random_choices
from mtrans.measure.intervals import bootstrap, clusters_of, replicates
from mtrans.measure.metrics import METRICS, mean_of


def test_interval_covers_the_true_accuracy_in_about_95_percent_of_seeds():
    truth, seeds, inside = 0.6, 400, 0
    for seed in range(seeds):
        hits = (np.random.default_rng(seed).random(150) < truth).astype(float)
        (interval,) = bootstrap([mean_of(hits)], np.arange(150), resamples=500, seed=seed)
        inside += interval.low <= truth <= interval.high
    assert 0.91 <= inside / seeds <= 0.98


def test_interval_covers_where_questions_of_a_video_go_together():
    truth, seeds, inside, naive = 0.6, 300, 0, 0
    for seed in range(seeds):
        items = random_choices(240, truth, seed, questions_per_video=4, within=0.8)
        statistics = METRICS.get("accuracy").statistics(items)
        (interval,) = bootstrap([statistics], clusters_of(items), resamples=400, seed=seed)
        inside += interval.low <= truth <= interval.high
        (flat,) = bootstrap([statistics], np.arange(240), resamples=400, seed=seed)
        naive += flat.low <= truth <= flat.high
    assert 0.90 <= inside / seeds <= 0.98
    assert naive / seeds < 0.88  # ignoring the clusters is overconfident: the test can tell


def test_standard_error_equals_the_clustered_formula():
    items = random_choices(1200, 0.7, 3, questions_per_video=3, within=0.5)
    clusters = clusters_of(items)
    statistics = METRICS.get("accuracy").statistics(items)
    (interval,) = bootstrap([statistics], clusters, seed=1)
    hits = statistics.rows.toarray()[:, 0]
    sums = np.bincount(clusters, hits - hits.mean())
    assert interval.standard_error == pytest.approx(np.sqrt(np.sum(sums**2)) / 1200, rel=0.06)


def test_replicates_equal_recomputing_the_metric_on_the_drawn_items():
    """Each replicate must be the metric of a real resample, F1 included."""
    items = random_choices(12, 0.5, 0, questions_per_video=2)
    clusters = clusters_of(items)
    names = ("accuracy", "balanced_accuracy", "macro_f1")
    statistics = [METRICS.get(name).statistics(items) for name in names]
    drawn = replicates(statistics, clusters, resamples=20, seed=5)
    draws = np.random.default_rng(5).integers(0, 6, size=(20, 6))
    for r in range(20):
        part = [items[i] for g in draws[r] for i in np.flatnonzero(clusters == g)]
        for name, values in zip(names, drawn, strict=True):
            assert values[r] == pytest.approx(METRICS.get(name).statistics(part).value())


def test_same_seed_same_interval_and_blocks_do_not_matter(monkeypatch):
    items = random_choices(200, 0.5, 0)
    statistics, clusters = METRICS.get("macro_f1").statistics(items), clusters_of(items)
    (first,) = replicates([statistics], clusters, resamples=100, seed=7)
    (other,) = replicates([statistics], clusters, resamples=100, seed=8)
    monkeypatch.setattr("mtrans.measure.intervals._CELLS", 200 * 7)
    (blocks,) = replicates([statistics], clusters, resamples=100, seed=7)
    assert np.array_equal(first, blocks)
    assert not np.array_equal(first, other)


def test_two_thousand_resamples_of_two_thousand_videos_are_quick():
    items = random_choices(2000, 0.5, 0)
    names = ("accuracy", "balanced_accuracy", "macro_f1", "parse_failures")
    statistics = [METRICS.get(name).statistics(items) for name in names]
    start = time.process_time()
    bootstrap(statistics, clusters_of(items), resamples=2000)
    assert time.process_time() - start < 1.5


def test_all_right_gets_the_binomial_bound_and_one_video_no_interval():
    items = [choice_prediction(i, 0, 0) for i in range(20)]
    statistics = METRICS.get("accuracy").statistics(items)
    (interval,) = bootstrap([statistics], clusters_of(items))
    assert interval.high == 1
    assert interval.low == pytest.approx(1 - (1 - 0.025 ** (1 / 20)))
    assert interval.low == pytest.approx(0.8316, abs=1e-4)  # Clopper-Pearson, 20 of 20
    (failures,) = bootstrap([METRICS.get("parse_failures").statistics(items)], clusters_of(items))
    assert (failures.low, failures.high) == (0, pytest.approx(1 - 0.8316, abs=1e-4))
    assert bootstrap([statistics], np.zeros(20, dtype=np.int64)) == [None]


def test_videos_that_are_all_half_right_get_the_binomial_interval():
    items = [choice_prediction(i, i % 2, 0) for i in range(8)]
    statistics = METRICS.get("accuracy").statistics(items)
    (interval,) = bootstrap([statistics], np.arange(8) // 2)
    assert (interval.low, interval.high) == pytest.approx((0.0676, 0.9324), abs=1e-4)  # 2 of 4
