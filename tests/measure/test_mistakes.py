"""Kinds of mistakes, modalities in conflict, perception or reasoning: cases with a known answer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from measure.helpers import choice_prediction
from mtrans.measure.mistakes import kind_of, mistakes
from mtrans.measure.modality import modality
from mtrans.measure.perception import perception
from mtrans.measure.predictions import PredictionsError
from mtrans.measure.sayings import of_mistakes, of_modality

YES_NO = ("yes", "no")


def shares(*values: float, label: int) -> object:
    choice = max(range(len(values)), key=values.__getitem__)
    choices = ("a", "b", "c")[: len(values)]
    return choice_prediction(0, label, choice, choices=choices, probabilities=values)


def test_kinds() -> None:
    assert kind_of(shares(0.5, 0.4, 0.1, label=1)) == "nearly right"
    assert kind_of(shares(0.6, 0.25, 0.15, label=1)) == "unsure"
    assert kind_of(shares(0.45, 0.3, 0.25, label=2)) == "unsure"
    assert kind_of(shares(0.9, 0.1, label=1)) == "sure"
    assert kind_of(choice_prediction(0, 1, None)) == "no candidate"
    unread = dataclasses.replace(choice_prediction(0, 1, None), error="no such file")
    assert kind_of(unread) == "unread"
    assert kind_of(choice_prediction(0, 1, 0)) == "unknown"


def test_nothing_is_said_of_how_sure_a_model_without_probabilities_was() -> None:
    items = [choice_prediction(i, 0, int(i % 2 == 1), choices=YES_NO) for i in range(40)]
    (first, *_) = of_mistakes(mistakes(items, resamples=50))
    assert "not known: the answer has no probabilities" in first
    assert "sure of" not in first
    known = dataclasses.replace(items[1], probabilities=(0.1, 0.9))
    told = of_mistakes(mistakes([known, *items[2:]], resamples=50))
    assert "and 1 times it was sure of a wrong answer" in told[0]
    assert "of the answers, right in" in told[1]  # of no type, rather than of one called None


def test_answers_given_by_chance_are_seldom_called_too_often() -> None:
    accused = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        items = [
            choice_prediction(i, int(rng.integers(4)), int(rng.integers(4)), type=f"type {i % 4}")
            for i in range(200)
        ]
        found = mistakes(items, resamples=500, seed=seed)["answers"]
        accused += any(row["low"] > 0 or row["high"] < 0 for row in found)
    assert accused <= 3  # each by itself would be wrong in half of such runs


def test_an_answer_given_too_often_is_named() -> None:
    items = [choice_prediction(i, i % 2, int(i % 8 == 1), choices=YES_NO) for i in range(80)]
    found = mistakes(items, resamples=200)
    assert (found["n"], found["wrong"], sum(found["kinds"].values())) == (80, 30, 30)
    first = next(row for row in found["answers"] if row["text"] == "yes")
    assert first["said"] - first["right"] == pytest.approx(0.375)
    assert first["low"] > 0.2
    assert found["confusions"] == [{"type": None, "right": "no", "said": "yes", "count": 30}]


def test_whom_the_model_follows_in_a_conflict() -> None:
    def run(said: list[int]) -> list:
        return [choice_prediction(i, 0, c, choices=("a", "b", "c")) for i, c in enumerate(said)]

    text = run([0, 0, 1, 1, 1, 2])
    vision = run([0, 1, 0, 0, 1, 0])
    full = run([0, 0, 0, 1, 1, 1])
    found = modality(full, text, vision, resamples=50)
    assert found["follows"] == {"text": 2, "vision": 1, "neither": 1}
    rows = {row["part"]: row for row in found["parts"]}
    assert rows["in conflict"]["n"] == 4
    assert rows["in conflict"]["accuracy"] == 0.5
    assert rows["in agreement"]["accuracy"] == 0.5
    assert rows["text alone wrong"]["accuracy"] == 0.25
    assert rows["text alone wrong"]["text"] == 0.0
    assert rows["text alone wrong"]["vision"] == 0.75
    # where pictures alone are wrong, the words are needed
    alone = [p for p in vision if p.choice != p.label]
    assert rows["pictures alone wrong"]["n"] == len(alone) > 0
    assert rows["pictures alone wrong"]["vision"] == 0.0
    # one of four is right: that is not shown to be more than guessing among three
    assert "nothing shows that the pictures add anything" in of_modality(found)[0]
    seen = run([0, 0, *[1] * 40])
    sure = modality(run([0] * 42), seen, resamples=50)
    assert "(guessing gives 33.3 %): that is what the pictures add." in of_modality(sure)[0]
    alone = modality(full, text, resamples=50)
    assert alone["follows"] is None
    assert {row["part"] for row in alone["parts"]} == {"text alone right", "text alone wrong"}


def test_runs_on_other_questions_are_refused() -> None:
    other = [choice_prediction(9, 0, 0)]
    with pytest.raises(PredictionsError, match="same manifest"):
        modality([choice_prediction(0, 0, 0)], other)


def test_mistakes_about_clips_seen_through_are_of_reasoning() -> None:
    # ten clips; the first six are seen through, and of these two questions are wrong
    questions = [
        choice_prediction(i, 0, int(i in (0, 1, 7, 8, 9)), video=f"{i}") for i in range(10)
    ]
    stills = [
        choice_prediction(
            100 + i, 0, int(i >= 6 and k == 1), video=f"{i}", type="still shape", id=f"s{i}{k}"
        )
        for i in range(10)
        for k in range(2)
    ]
    found = perception(questions, stills, resamples=200)
    assert found["errors"] == {"reasoning": 2, "perception": 3}
    assert found["seen_when_wrong"] == pytest.approx(2 / 5)
    assert found["seen_when_right"] == pytest.approx(4 / 5)
    assert found["difference"] == pytest.approx(0.4)
    assert found["by_chance"] == pytest.approx(1 / 16)
    assert found["seen"] == pytest.approx(6 / 10)
    assert found["answers"]["accuracy"] == found["stills"][0]["accuracy"] == pytest.approx(16 / 20)
    assert found["image_model"] is None
    # an image model that sees all makes every mistake one of reasoning
    seeing = [dataclasses.replace(p, choice=p.label) for p in stills]
    image = perception(questions, stills, seeing, resamples=50)["image_model"]
    assert image["errors"] == {"reasoning": 5, "perception": 0}
    assert image["seen"] == 1.0
    with pytest.raises(PredictionsError, match="still"):
        perception(questions, [choice_prediction(0, 0, 0, video="elsewhere")])


def test_another_clip_of_the_same_file_is_another_clip() -> None:
    questions = [
        dataclasses.replace(choice_prediction(i, 0, 1, video="f"), start=float(i)) for i in range(2)
    ]
    stills = [dataclasses.replace(choice_prediction(9, 0, 0, video="f"), start=0.0)]
    assert perception(questions, stills, resamples=20)["n"] == 1
