"""Robustness from constructed predictions whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.core.records import Prediction
from mtrans.measure.predictions import PredictionsError, write_predictions
from mtrans.measure.reversal import reversed_answers
from mtrans.measure.robustness import CLEAN, ROBUSTNESS, robustness
from mtrans.measure.temporal import temporal

WAYS = ("left", "right", "up", "down")
NUMBERS = ("zero", "one", "two", "three")


def way(i: int, answer: str, choice: str) -> Prediction:
    return Prediction(
        id=f"way{i}",
        video=f"{i}.mp4",
        question="which way does the red circle move?",
        answer=choice,
        target=answer,
        choices=WAYS,
        label=WAYS.index(answer),
        choice=WAYS.index(choice),
        parse="scored",
        type="moving_direction",
        facts={"world": "physics"},
    )


def count(i: int, answer: str, choice: str) -> Prediction:
    return Prediction(
        id=f"count{i}",
        video=f"{i}.mp4",
        question="how many objects are moving?",
        answer=choice,
        target=answer,
        choices=NUMBERS,
        label=NUMBERS.index(answer),
        choice=NUMBERS.index(choice),
        parse="scored",
        type="moving_count",
        facts={"world": "physics"},
    )


def clean(n: int = 20) -> list[Prediction]:
    ways = [way(i, WAYS[i % 4], WAYS[i % 4]) for i in range(n)]
    return [*ways, *(count(i, "two", "two") for i in range(n))]


def back(p: Prediction) -> Prediction:
    """What a model that sees time says of the reversed clip."""
    opposite = {"left": "right", "right": "left", "up": "down", "down": "up"}
    i = int("".join(c for c in p.id if c.isdigit()))
    return way(i, p.target or "", opposite[p.answer]) if p.id.startswith("way") else p


def write(folder: Path, name: str, severity: int, predictions: list[Prediction]) -> None:
    path = folder / f"{name}-{severity}.jsonl"
    write_predictions(path, predictions)
    about = {"name": name, "kind": "order", "severity": severity, "level": 1.0, "unit": ""}
    meta = {"condition": about, "finished": "now"}
    path.with_suffix(".meta.json").write_text(json.dumps(meta))


def test_a_model_that_ignores_order_has_no_temporal_sensitivity() -> None:
    answers = clean()
    pairs = {("reverse", 5): [(p, p) for p in answers]}
    (row,) = temporal(pairs, answers, resamples=200, seed=0)["rows"]
    assert row["sensitivity"] == 0.0
    assert row["followed"] == 0.0
    assert row["stayed"] == 1.0
    assert (row["should_change"], row["should_stay"]) == (20, 20)


def test_a_model_that_sees_time_follows_and_changes_nothing_else() -> None:
    answers = clean()
    pairs = {("reverse", 5): [(p, back(p)) for p in answers]}
    found = temporal(pairs, answers, resamples=200, seed=0)
    (row,) = found["rows"]
    assert row["sensitivity"] == 1.0
    assert row["flips_stay"] == 0.0
    assert row["followed"] == 1.0
    assert "100.0 % follow" in " ".join(found["says"])


def test_a_model_that_is_merely_disturbed_changes_both_alike() -> None:
    answers = clean()
    wrong = [
        way(i, p.target or "", WAYS[(i + 1) % 4]) if p.type == "moving_direction" else p
        for i, p in enumerate(answers)
    ]
    wrong = [count(i % 20, "two", "one") if p.type == "moving_count" else p
             for i, p in enumerate(wrong)]  # fmt: skip
    pairs = {("shuffle", 5): list(zip(answers, wrong, strict=True))}
    (row,) = temporal(pairs, answers, resamples=200, seed=0)["rows"]
    assert row["sensitivity"] == pytest.approx(0.0)
    assert row["flips_stay"] == 1.0
    assert "followed" not in row


def open_question(
    id_: str, question: str, answer: str, world: str | None = "kitchen"
) -> Prediction:
    facts = {"world": world} if world else {}
    return Prediction(
        id=id_, video="a.mp4", question=question, answer="?", target=answer, facts=facts
    )


def test_answers_backwards_follow_from_the_other_questions() -> None:
    steps = "cut the egg, fry the fish, wash the leek."
    asked = [
        open_question("first", "what is the first step?", "cut the egg"),
        open_question("after", "what is done after the fish is fried?", "wash the leek"),
        open_question("steps", "list the steps.", steps),
    ]
    assert reversed_answers(asked) == {
        "first": "wash the leek",
        "after": "cut the egg",
        "steps": "wash the leek, fry the fish, cut the egg.",
    }
    alone = reversed_answers(asked[:1])
    assert alone == {}  # what came last is not known
    passed = [
        open_question("last", "what did i pass last?", "red square", "ego"),
        open_question("before", "what did i pass before the red square?", "blue ring", "ego"),
        open_question("after", "what did i pass after the blue ring?", "red square", "ego"),
    ]
    assert reversed_answers(passed) == {}  # nothing comes first, after or before


def test_a_manifest_can_say_the_answer_backwards_and_real_footage_is_left_alone() -> None:
    own = Prediction(
        id="a", video="a.mp4", question="what comes first?", answer="x", target="x",
        facts={"answer_reversed": "y"},
    )  # fmt: skip
    real = open_question("b", "what is the first step?", "cut the egg", None)
    assert reversed_answers([own, real]) == {"a": "y"}


def test_accuracy_drop_and_flips_of_a_known_case(tmp_path: Path) -> None:
    answers = clean()
    write_predictions(tmp_path / CLEAN, answers)
    half = [
        way(i, p.target or "", WAYS[(i + 1) % 4]) if p.type == "moving_direction" else p
        for i, p in enumerate(answers)
    ]
    write(tmp_path, "noise", 1, answers)
    write(tmp_path, "noise", 5, half)
    document = robustness(tmp_path, resamples=200)
    assert json.loads((tmp_path / ROBUSTNESS).read_text()) == document
    mild, hard = document["rows"]
    assert document["clean"]["accuracy"] == 1.0
    assert document["clean"]["clusters"] == 20
    assert (mild["accuracy"], mild["drop"], mild["flips"]) == (1.0, 0.0, 0.0)
    assert hard["accuracy"] == pytest.approx(0.5)
    assert hard["drop"] == pytest.approx(0.5)
    assert hard["flips"] == pytest.approx(0.5)
    # every clip has one right and one wrong answer: drawing clips changes nothing, and the exact
    # interval of 10 of 20 takes the place of one without width
    assert (hard["low"], hard["high"]) == pytest.approx((0.272, 0.728), abs=1e-3)
    assert any("takes 50.0 %" in line for line in document["says"])
    assert "missing" in document["temporal"]


def test_little_that_can_be_lost_is_not_called_calm(tmp_path: Path) -> None:
    wrong = [way(i, "left", "up") for i in range(30)]
    write_predictions(tmp_path / CLEAN, wrong)
    write(tmp_path, "noise", 5, wrong)
    document = robustness(tmp_path, resamples=200)
    (row,) = document["rows"]
    assert (row["accuracy"], row["drop"], row["drop_high"]) == (0.0, None, None)
    assert not any("lost" in line for line in document["says"])
    known = [way(i, "left", "left") for i in range(3)]
    write_predictions(tmp_path / CLEAN, [*known, *wrong[3:]])
    write(tmp_path, "noise", 5, [*known, *wrong[3:]])
    document = robustness(tmp_path, resamples=200)
    (row,) = document["rows"]
    assert (row["drop"], row["drop_low"]) == (0.0, 0.0)
    assert row["drop_high"] == pytest.approx(0.708, abs=1e-3)  # Clopper-Pearson, none of 3
    assert not any("lost" in line for line in document["says"])


def test_other_questions_or_no_record_are_refused(tmp_path: Path) -> None:
    answers = clean()
    write_predictions(tmp_path / CLEAN, answers)
    with pytest.raises(PredictionsError, match="no perturbed predictions"):
        robustness(tmp_path)
    write(tmp_path, "noise", 1, answers[:-1])
    with pytest.raises(PredictionsError, match="answers other questions"):
        robustness(tmp_path)
    (tmp_path / "noise-1.meta.json").unlink()
    with pytest.raises(PredictionsError, match="without a record"):
        robustness(tmp_path)
