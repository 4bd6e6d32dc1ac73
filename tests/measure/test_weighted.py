from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from measure.helpers import choice_prediction
from mtrans.core.records import Prediction
from mtrans.measure.apply import measure
from mtrans.measure.intervals import clusters_of

NAMES = ("weighted_precision", "weighted_recall", "weighted_f1")


def skewed(n: int = 200) -> list[Prediction]:
    rng = np.random.default_rng(3)
    labels = rng.choice(4, size=n, p=[0.6, 0.25, 0.1, 0.05])
    said = np.where(rng.random(n) < 0.4, labels, rng.integers(0, 3, size=n))
    return [
        choice_prediction(i, int(a), int(b))
        for i, (a, b) in enumerate(zip(labels, said, strict=True))
    ]


def test_weighted_scores_equal_sklearn():
    items = skewed()
    wanted = precision_recall_fscore_support(
        [p.label for p in items],
        [p.choice for p in items],
        average="weighted",
        zero_division=0,
    )
    found = measure(items, NAMES, resamples=20)
    assert [s.value for s in found] == pytest.approx(wanted[:3])
    assert found[1].value == measure(items, ["accuracy"], resamples=2)[0].value
    assert all(s.low < s.value < s.high for s in found)


def test_failed_parse_is_a_miss_and_no_class():
    items = [choice_prediction(0, 0, 0), choice_prediction(1, 1, 1)]
    items[1] = dataclasses.replace(items[1], parse="failed", choice=None)
    scores = {s.metric: s.value for s in measure(items, NAMES, resamples=2)}
    assert scores == {name: 0.5 for name in NAMES}


def test_whole_groups_are_drawn_where_asked():
    items = [dataclasses.replace(p, group=f"g{i // 50}") for i, p in enumerate(skewed())]
    items[0] = dataclasses.replace(items[0], group=None)
    by_video, by_group = (measure(items, ["accuracy"], cluster=by)[0] for by in ("video", "group"))
    assert by_group.clusters == 5
    assert by_video.clusters == len(set(p.video for p in items))
    assert by_group.value == by_video.value
    assert len(set(clusters_of(items, "group")[1:50])) == 1
