"""Answers of several seeds, pooled: what is one cluster."""

from __future__ import annotations

from dataclasses import replace

from measure.helpers import random_choices
from mtrans.measure.apply import measure
from mtrans.study.results import pool


def test_seeds_of_a_question_without_video_are_one_cluster() -> None:
    answers = [replace(p, video=None) for p in random_choices(100, 0.6, 0)]
    (alone,) = measure(answers, ["accuracy"])
    (pooled,) = measure(pool(dict.fromkeys(range(3), answers)), ["accuracy"])
    # the same answers three times over say no more than once
    assert (pooled.n, pooled.clusters) == (300, 100)
    assert (pooled.value, pooled.low, pooled.high) == (alone.value, alone.low, alone.high)
