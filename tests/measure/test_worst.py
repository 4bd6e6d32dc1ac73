"""Worst parts: a planted one is found, and on noise none is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from measure.helpers import choice_prediction
from mtrans.measure.sayings import of_worst
from mtrans.measure.worst import adjusted, worse_p, worst_parts


def answers(n: int, seed: int, planted=None, per_video: int = 2) -> list:
    """Answers of 75 % accuracy, where `planted(facts)` of 35 %."""
    rng = np.random.default_rng(seed)
    out = []
    facts: dict = {}
    for i in range(n):
        if i % per_video == 0:
            facts = {
                "speed": float(rng.uniform(0, 2)),
                "objects": int(rng.integers(3, 6)),
                "light": str(rng.choice(["day", "night"])),
            }
        hard = planted is not None and planted(facts)
        right = rng.random() < (0.35 if hard else 0.75)
        label = int(rng.integers(4))
        kind = "count" if i % 2 else "colour"
        video = f"/clips/{i // per_video}.mp4"
        choice = label if right else (label + 1) % 4
        out.append(choice_prediction(i, label, choice, video=video, type=kind, facts=facts))
    return out


def test_a_planted_pair_is_found_first() -> None:
    items = answers(1200, 0, lambda f: f["light"] == "night" and f["objects"] == 5)
    found = worst_parts(items, resamples=200)
    worst = found["parts"][0]
    assert worst["facts"] == {"facts.objects": 5, "facts.light": "night"}
    assert worst["accuracy"] == pytest.approx(0.35, abs=0.08)
    assert worst["low"] < worst["accuracy"] < worst["high"] < worst["elsewhere"]
    # more facts than it takes are not reported beside it
    assert found["found"] <= 3


def test_a_numeric_fact_is_cut_into_quantiles() -> None:
    found = worst_parts(answers(1000, 1, lambda f: f["speed"] > 1.5), resamples=100)
    (worst,) = found["parts"][:1]
    ((key, value),) = worst["facts"].items()
    assert key == "facts.speed"
    low = float(str(value).split(" to ")[0])
    assert low == pytest.approx(1.5, abs=0.1)


def test_nothing_is_found_in_noise() -> None:
    found = [worst_parts(answers(400, seed), resamples=20)["found"] for seed in range(100, 120)]
    assert sum(count > 0 for count in found) <= 3


def test_questions_of_a_video_are_not_taken_for_independent() -> None:
    # whole videos are right or wrong, with ten questions each: noise again
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(60):
        videos = np.repeat(np.arange(60), 10)
        right = np.repeat(rng.random(60) < 0.6, 10).astype(float)
        inside = np.repeat(rng.random(60) < 0.4, 10)
        false += worse_p(right, inside, np.ones(600, dtype=bool), videos) < 0.05
    assert false <= 8


def test_the_p_value_is_that_of_a_two_sample_test_where_videos_have_one_question() -> None:
    rng = np.random.default_rng(3)
    right, inside = (rng.random(400) < 0.6).astype(float), rng.random(400) < 0.3
    right[inside] = (rng.random(int(inside.sum())) < 0.5).astype(float)
    m, a, b = right.mean(), right[inside], right[~inside]
    z = (a.mean() - b.mean()) / np.sqrt(m * (1 - m) * (1 / len(a) + 1 / len(b)))
    from scipy.stats import norm

    whole = np.ones(400, dtype=bool)
    assert worse_p(right, inside, whole, np.arange(400)) == pytest.approx(norm.cdf(z), rel=0.1)


def test_adjusted_p_values_equal_scipys() -> None:
    p = np.random.default_rng(0).random(50) ** 3
    assert adjusted(p) == pytest.approx(false_discovery_control(p))
    assert len(adjusted(np.zeros(0))) == 0


def test_small_parts_are_not_looked_at() -> None:
    items = [choice_prediction(i, 0, i % 2, type="rare" if i < 19 else "often") for i in range(60)]
    assert worst_parts(items, resamples=20)["tested"] == 1
    assert worst_parts([], resamples=20) == {
        "accuracy": None, "n": 0, "tested": 0, "found": 0, "rate": 0.05, "parts": []
    }  # fmt: skip


def test_nothing_found_is_no_proof_that_all_parts_are_alike() -> None:
    assert "is shown to be worse" in of_worst({"found": 0, "tested": 7, "parts": []})[0]
    (few,) = of_worst(worst_parts([choice_prediction(i, 0, 0) for i in range(5)], resamples=20))
    assert "large enough" in few
