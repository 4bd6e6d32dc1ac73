"""CIDEr-D against cases worked out by hand, and properties that follow from its definition."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measure.helpers import open_prediction
from mtrans.measure.apply import measure
from mtrans.measure.captions import CiderD

texts = st.lists(st.sampled_from(list("abcde")), max_size=7).map(" ".join)


def scores(answers: list[str], references: list[list[str]]) -> list[float]:
    scorer = CiderD(references)
    return [scorer.score(a, r) for a, r in zip(answers, references, strict=True)]


def test_by_hand() -> None:
    # two clips, every n-gram in one of them: all weights are log 2 and cancel.
    # "a b" is the reference: 1-grams 1, 2-grams 1, none longer.
    # "c a" for "c d": 1-grams 1 * 1 / (sqrt 2 * sqrt 2), no 2-gram.
    first, second = scores(["a b", "c a"], [["a b"], ["c d"]])
    assert first == pytest.approx(10 * (1 + 1) / 4)
    assert second == pytest.approx(10 * (1 / 2) / 4)


def test_rare_words_count_more() -> None:
    # log(3/3) = 0 for "x", log(3/2) for "b", log 3 for the others
    references = [["x a b"], ["x b"], ["x c"]]
    rare, common = math.log(3), math.log(3 / 2)
    norm = math.hypot(rare, common)
    got = scores(["x a", "x b", "x"], references)
    one_gram = rare * rare / (rare * norm)  # "a"; "x" weighs nothing
    # 2-grams: "x a" is one of the reference's two, "x a" and "a b", of equal weight
    two_gram = 1 / math.sqrt(2)
    assert got[0] == pytest.approx(10 * (one_gram + two_gram) / 4 * math.exp(-1 / 72))
    assert got[1] == pytest.approx(10 * (1 + 1) / 4)
    assert got[2] == 0  # only the word that all have


def test_repeating_a_word_is_clipped() -> None:
    # "a a": weight 2 log 2, clipped to log 2, times log 2, over 2 log 2 * sqrt 2 log 2
    assert scores(["a a", "c"], [["a b"], ["c"]])[0] == pytest.approx(10 / (2 * math.sqrt(2)) / 4)


def test_length_is_punished() -> None:
    six_apart = scores(["a", "z"], [["a b c d e f g"], ["z"]])[0]
    assert six_apart == pytest.approx(10 / math.sqrt(7) / 4 * math.exp(-0.5))


def test_mean_over_references() -> None:
    assert scores(["a b", "z"], [["a b", "c d"], ["z"]])[0] == pytest.approx(10 * (2 + 0) / 2 / 4)


def test_ends() -> None:
    whole = ["pour the oil in a pan", "cut two red onions thinly"]
    assert scores(whole, [[w] for w in whole]) == pytest.approx([10, 10])
    assert scores(["", "a pan"], [[w] for w in whole]) == [0, 0]  # "a pan" is the other clip's
    assert scores([whole[0]], [[whole[0]]]) == [0]  # one clip: no word is rarer than another


@given(st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_properties(clips: list[tuple[str, list[str]]]) -> None:
    answers, references = [list(part) for part in zip(*clips, strict=True)]
    got = scores(answers, references)
    assert all(0 <= s <= 10 + 1e-9 for s in got)
    turned = scores(answers[::-1], [r[::-1] for r in references[::-1]])
    assert turned[::-1] == pytest.approx(got)
    shouted = scores([a.upper() + "!" for a in answers], references)
    assert shouted == pytest.approx(got)


def test_the_metric_pools_a_clips_captions() -> None:
    one = [
        open_prediction(0, "a b", "a b", video="v"),
        dataclasses.replace(open_prediction(1, "c d", "a b"), video="v"),
        open_prediction(2, "z", "z"),
    ]
    (score,) = measure(one, ["cider_d"], resamples=50)
    assert score.value == pytest.approx(sum([2.5, 2.5, 2.5]) / 3)
    assert (score.n, score.clusters) == (3, 2)
    # another window of the video is another clip: then each caption stands alone
    one[1] = dataclasses.replace(one[1], start=4.0, end=9.0)
    (apart,) = measure(one, ["cider_d"], resamples=50)
    assert apart.value == pytest.approx(sum([5, 0, 2.5]) / 3)


def test_an_unread_clip_gets_nothing() -> None:
    items = [open_prediction(0, "a b c d", "a b c d"), open_prediction(1, "w x y z", "w x y z")]
    items[1] = dataclasses.replace(items[1], answer="", error="no such file", parse="failed")
    assert measure(items, ["cider_d"], resamples=50)[0].value == pytest.approx(5)


def test_a_score_of_one_is_no_end_of_a_scale() -> None:
    # fractions that are all 1 get a binomial bound; a CIDEr-D can be above 1
    names = ("a b", "c d", "e f")
    items = [open_prediction(i, name, name) for i, name in enumerate(names)]
    (score,) = measure(items, ["cider_d"], resamples=50)
    assert (score.low, score.value, score.high) == pytest.approx((5, 5, 5))
