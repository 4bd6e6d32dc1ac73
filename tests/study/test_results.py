"""Runs of several seeds, pooled: what is one cluster, and what they cost."""

from __future__ import annotations

from dataclasses import replace

from measure.helpers import random_choices
from mtrans.measure.apply import measure
from mtrans.study.results import pool, usual_cost


def test_seeds_of_a_question_without_video_are_one_cluster() -> None:
    answers = [replace(p, video=None) for p in random_choices(100, 0.6, 0)]
    (alone,) = measure(answers, ["accuracy"])
    (pooled,) = measure(pool(dict.fromkeys(range(3), answers)), ["accuracy"])
    # the same answers three times over say no more than once
    assert (pooled.n, pooled.clusters) == (300, 100)
    assert (pooled.value, pooled.low, pooled.high) == (alone.value, alone.low, alone.high)


def test_a_run_beside_other_work_does_not_make_a_design_slow() -> None:
    costs = [
        {"train_seconds": seconds, "visual_tokens": 8, "memory_kind": "rss", "flops": known}
        for seconds, known in ((290.0, 1), (2556.0, None), (310.0, 1))
    ]
    assert usual_cost(costs) == {"train_seconds": 310.0, "visual_tokens": 8}
    assert usual_cost([]) == {}
