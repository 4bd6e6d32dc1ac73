from __future__ import annotations

import dataclasses

import pytest

from measure.helpers import choice_prediction, open_prediction, random_choices
from mtrans.measure.compare import compare, mcnemar
from mtrans.measure.predictions import PredictionsError, write_predictions


def test_mcnemar_by_hand():
    # 8 against 2 of 10: 2 * (C(10,0) + C(10,1) + C(10,2)) / 2^10
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar(2, 8) == mcnemar(8, 2)
    assert mcnemar(0, 0) == 1


def test_difference_is_other_minus_reference_whatever_the_order_of_lines(tmp_path):
    reference = [choice_prediction(i, 0, 0 if i < 50 else 1) for i in range(100)]
    other = [choice_prediction(i, 0, 0 if 10 <= i < 80 else 1) for i in range(100)]
    write_predictions(tmp_path / "a.jsonl", reference)
    write_predictions(tmp_path / "b.jsonl", other[::-1])
    result = {c.metric: c for c in compare(tmp_path / "a.jsonl", tmp_path / "b.jsonl")}
    accuracy = result["accuracy"]
    assert (accuracy.reference, accuracy.other) == (0.5, 0.7)
    assert accuracy.difference == pytest.approx(0.2)
    assert (accuracy.only_reference, accuracy.only_other) == (10, 30)
    assert accuracy.p == pytest.approx(mcnemar(10, 30))
    assert 0 < accuracy.low < 0.2 < accuracy.high
    assert set(result) == {"accuracy", "balanced_accuracy", "macro_f1", "parse_failures"}
    assert result["macro_f1"].p is None


def test_pairing_narrows_the_interval_and_equal_runs_differ_by_nothing():
    first = random_choices(400, 0.6, 0)
    flip = {f"q{i}" for i in range(0, 400, 20)}
    second = [
        dataclasses.replace(p, choice=p.label, answer=p.choices[p.label]) if p.id in flip else p
        for p in first
    ]
    paired = compare(first, second, metrics=["accuracy"])[0]
    apart = compare(first, [*random_choices(400, 0.6, 0)], metrics=["accuracy"])[0]
    assert paired.high - paired.low < 0.06
    assert (apart.difference, apart.low, apart.high, apart.p) == (0, 0, 0, 1)


def test_videos_that_only_one_side_knows_are_drawn_as_a_whole():
    first = [
        dataclasses.replace(p, video=f"v{i % 40}")
        for i, p in enumerate(random_choices(400, 0.6, 0))
    ]
    right = [p if i % 3 else dataclasses.replace(p, choice=p.label) for i, p in enumerate(first)]
    second = [dataclasses.replace(p, video=None) for p in right]
    here = compare(first, second, metrics=["accuracy"])[0]
    back = compare(second, first, metrics=["accuracy"])[0]
    assert here.clusters == back.clusters == 40
    assert (here.low, here.high) == pytest.approx((-back.high, -back.low))


def test_open_answers_are_compared_too():
    first = [open_prediction(i, "red ball", "red box") for i in range(20)]
    second = [open_prediction(i, "red ball", "red ball") for i in range(20)]
    result = {c.metric: c for c in compare(first, second)}
    assert result["exact_match"].difference == 1
    assert result["rouge_1"].difference == pytest.approx(0.5)


def test_other_samples_are_refused_with_numbers_and_names():
    first = [choice_prediction(i, 0, 0) for i in range(5)]
    second = [choice_prediction(i, 0, 0) for i in range(2, 9)]
    with pytest.raises(PredictionsError) as error:
        compare(first, second)
    assert "2 ids of the reference are not in the other run, first 'q0'" in str(error.value)
    assert "4 ids of the other run are not in the reference, first 'q5'" in str(error.value)
    changed = [choice_prediction(i, 1, 0) for i in range(5)]
    with pytest.raises(PredictionsError, match="5 samples have another right answer"):
        compare(first, changed)


def test_candidates_on_one_side_alone_are_refused():
    asked = [choice_prediction(i, 0, 0) for i in range(5)]
    written = [open_prediction(i, "red", "red") for i in range(5)]
    written = [dataclasses.replace(p, id=q.id) for p, q in zip(written, asked, strict=True)]
    for pair in ((asked, written), (written, asked)):
        with pytest.raises(PredictionsError, match="5 samples have candidates in one of"):
            compare(*pair)


def test_other_candidates_are_refused_and_another_order_of_them_is_not():
    asked = [choice_prediction(i, 0, 0) for i in range(5)]
    more = [dataclasses.replace(p, choices=(*p.choices, "neither")) for p in asked]
    with pytest.raises(PredictionsError, match=r"5 samples have other candidates in .* first 'q0'"):
        compare(asked, more)
    turned = [
        dataclasses.replace(
            p, choices=p.choices[::-1], label=len(p.choices) - 1, choice=len(p.choices) - 1
        )
        for p in asked
    ]
    assert all(c.difference == 0 for c in compare(asked, turned))


def test_a_metric_that_fits_no_question_is_an_error():
    items = [choice_prediction(i, 0, 0) for i in range(5)]
    with pytest.raises(PredictionsError, match="needs open questions"):
        compare(items, items, metrics=["rouge_l"])
