"""Runs of several seeds, pooled: what is one cluster, and what they cost."""

from __future__ import annotations

from dataclasses import replace

from measure.helpers import open_prediction, random_choices
from mtrans.measure.apply import measure
from mtrans.study.plan_file import plan_from_dict
from mtrans.study.results import Results, measure_seeds, pool, usual_cost
from mtrans.study.tables import notes


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


def test_open_questions_beside_listed_ones_are_measured_and_told_of() -> None:
    listed = [replace(p, type="listed") for p in random_choices(40, 0.6, 0)]
    wordy = [open_prediction(100 + i, "red ball", "red ball", type="wordy") for i in range(6)]
    row = measure_seeds({0: [*listed, *wordy], 1: [*listed, *wordy]})
    assert (row.overall.metric, row.overall.n, row.left_out) == ("accuracy", 80, 12)
    assert row.types["wordy"].metric == "exact_match"
    assert row.types["wordy"].value == 1
    alone = measure_seeds({0: wordy})
    assert (alone.overall.metric, alone.left_out) == ("exact_match", 0)
    numbers = {"world": "talk", "train": 6, "val": 2, "test": 4}
    plan = plan_from_dict({"data": numbers, "contenders": ["mtrans"]})
    told = "\n".join(notes(Results(plan, [replace(row, data="talk")]), "talk"))
    assert "6 open questions are not in `all`" in told
    only = notes(Results(plan, [replace(alone, data="talk")]), "talk")
    assert "open questions" not in "\n".join(only)
