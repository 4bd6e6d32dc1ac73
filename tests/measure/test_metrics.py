from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer

from measure.helpers import COLOURS, choice_prediction, open_prediction
from mtrans.core.errors import SettingsError
from mtrans.core.records import Prediction
from mtrans.measure import text_metrics
from mtrans.measure.apply import default_metrics, measure
from mtrans.measure.metrics import METRICS, confusion


def value(name: str, predictions: list[Prediction]) -> float:
    return METRICS.get(name).statistics(predictions).value()


def skewed(n: int = 300) -> tuple[list[Prediction], list[int], list[int]]:
    rng = np.random.default_rng(1)
    labels = rng.choice(4, size=n, p=[0.6, 0.25, 0.1, 0.05])
    choices = np.where(rng.random(n) < 0.5, labels, rng.integers(0, 3, size=n))
    items = [
        choice_prediction(i, int(a), int(b))
        for i, (a, b) in enumerate(zip(labels, choices, strict=True))
    ]
    return items, labels.tolist(), choices.tolist()


def test_classification_metrics_equal_sklearn():
    items, labels, choices = skewed()
    assert value("accuracy", items) == pytest.approx(
        sklearn.metrics.accuracy_score(labels, choices)
    )
    assert value("balanced_accuracy", items) == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(labels, choices)
    )
    assert value("macro_f1", items) == pytest.approx(
        sklearn.metrics.f1_score(labels, choices, average="macro")
    )


def test_classes_are_answer_texts_where_candidates_differ():
    items = [
        choice_prediction(0, 0, 0, choices=("red", "blue")),
        choice_prediction(1, 1, 1, choices=("green", "red")),
        choice_prediction(2, 0, 1, choices=("blue", "red", "green", "pink")),
        choice_prediction(3, 0, 0, choices=("blue", "pink")),
    ]
    truths, answers = ["red", "red", "blue", "blue"], ["red", "red", "red", "blue"]
    assert value("balanced_accuracy", items) == pytest.approx(0.75)
    assert value("macro_f1", items) == pytest.approx(
        sklearn.metrics.f1_score(truths, answers, average="macro")
    )
    scores = {s.metric: s for s in measure(items, default_metrics(items), resamples=50)}
    assert scores["accuracy"].chance == pytest.approx((0.5 + 0.5 + 0.25 + 0.5) / 4)
    assert scores["balanced_accuracy"].chance == pytest.approx((0.5 + 0.375) / 2)
    assert scores["macro_f1"].chance is None


def test_a_failed_parse_is_wrong_and_counted_but_no_class():
    items = [choice_prediction(0, 0, 0), choice_prediction(1, 0, None), choice_prediction(2, 1, 1)]
    assert value("accuracy", items) == pytest.approx(2 / 3)
    assert value("balanced_accuracy", items) == pytest.approx(0.75)
    assert value("macro_f1", items) == pytest.approx((2 / 3 + 1) / 2)
    assert value("parse_failures", items) == pytest.approx(1 / 3)


def test_an_unreadable_clip_is_no_failed_parse():
    item = Prediction(
        id="x", video="v", question="?", answer="", target="", parse="failed", error="truncated"
    )
    assert value("parse_failures", [item]) == 0  # nothing was answered that could be parsed


def test_a_question_is_right_where_all_its_options_are():
    def option(i, right, video, number):
        facts = {} if number is None else {"question_id": number}
        yes_no = {"choices": ("yes", "no"), "video": video, "facts": facts}
        return choice_prediction(i, 0, 0 if right else 1, **yes_no)

    predictions = [
        *(option(i, True, "a", "a-1") for i in range(3)),  # right
        *(option(i, i > 3, "a", "a-2") for i in range(3, 7)),  # one of four is wrong
        *(option(i, True, "b", "a-1") for i in range(7, 9)),  # right: another video's
        option(9, False, "b", None),  # no question named: one of its own
    ]
    names = default_metrics(predictions)
    assert names[0] == "accuracy"
    (score,) = measure(predictions, [n for n in names if n == "question_accuracy"], resamples=200)
    assert score.value == pytest.approx(2 / 4)
    assert score.chance == pytest.approx((1 / 8 + 1 / 16 + 1 / 4 + 1 / 2) / 4)
    assert (score.n, score.clusters) == (10, 2)
    assert "question_accuracy" not in default_metrics(predictions[-1:])
    failed = [choice_prediction(0, 0, None, facts={"question_id": "x"})]
    assert measure(failed, ["question_accuracy"])[0].value == 0


def test_confusion_matrix_equals_sklearn_and_counts_failures():
    items, labels, choices = skewed()
    items.append(choice_prediction(999, 3, None))
    names, table = confusion(items)
    assert names == sorted(COLOURS)
    order = [COLOURS.index(name) for name in names]
    wanted = sklearn.metrics.confusion_matrix(labels, choices, labels=order)
    assert np.array_equal(table[:, :4], wanted)
    assert table[names.index("yellow"), 4] == 1
    assert table.sum() == len(items)


def test_exact_match_forgives_case_punctuation_and_articles_only():
    pairs = [("The red box.", "red box", 1), ("red  Box", "a red box!", 1), ("red", "red box", 0)]
    for i, (answer, target, wanted) in enumerate(pairs):
        assert value("exact_match", [open_prediction(i, target, answer)]) == wanted


def test_a_clip_that_gave_no_answer_is_never_right():
    # without its article nothing is left of the letter A, and nothing was said
    unread = replace(open_prediction(0, "A", ""), error="no such file", parse="failed")
    assert value("exact_match", [unread]) == 0
    assert value("exact_match", [open_prediction(0, "A", "a")]) == 1


def test_rouge_by_hand_and_as_rouge_score():
    # answer 4 words, truth 6 words; 3 shared words, 1 shared pair ("the red"), LCS "the red box"
    item = open_prediction(0, "the red ball hits the box", "the red small box")
    assert value("rouge_1", [item]) == pytest.approx(2 * 3 / (4 + 6))
    assert value("rouge_2", [item]) == pytest.approx(2 * 1 / (3 + 5))
    assert value("rouge_l", [item]) == pytest.approx(2 * 3 / (4 + 6))
    pairs = [("add oil to the pan", "pour the oil in a pan"), ("", "x"), ("left", "left")]
    items = [open_prediction(i, b, a) for i, (a, b) in enumerate(pairs)]
    scorer = RougeScorer(["rougeL"])
    wanted = np.mean([scorer.score(b, a)["rougeL"].fmeasure for a, b in pairs])
    assert value("rouge_l", items) == pytest.approx(wanted)


def test_meteor_without_wordnet_by_hand():
    # 2 of 3 words match ("balls" by its stem), one chunk: P = R = 2/3, penalty 0.5 * (1/2)^3
    item = open_prediction(0, "red balls roll", "red ball jumps")
    assert value("meteor_no_wordnet", [item]) == pytest.approx(2 / 3 * (1 - 0.5 / 8))
    assert value("meteor_no_wordnet", [open_prediction(0, "x", "")]) == 0


class FakeWordNet:
    """nltk's reader interface over a two-word thesaurus: the data itself can't be shipped."""

    def ensure_loaded(self):
        pass

    def synsets(self, word):
        return [self] if word in ("car", "auto") else []

    def lemmas(self):
        return [Lemma("car"), Lemma("auto")]


class Lemma:
    def __init__(self, word):
        self.word = word

    def name(self):
        return self.word


def test_meteor_uses_synonyms_where_wordnet_is_there(monkeypatch):
    import nltk.corpus

    monkeypatch.setattr(nltk.corpus, "wordnet", FakeWordNet())
    text_metrics.has_wordnet.cache_clear()
    try:
        item = open_prediction(0, "a car", "a auto")
        assert "meteor" in default_metrics([item])
        wanted = single_meteor_score(["a", "car"], ["a", "auto"], wordnet=FakeWordNet())
        assert wanted > value("meteor_no_wordnet", [item])
        assert value("meteor", [item]) == pytest.approx(wanted)
    finally:
        text_metrics.has_wordnet.cache_clear()


def test_meteor_says_so_where_wordnet_is_missing(monkeypatch):
    monkeypatch.setattr(text_metrics, "has_wordnet", lambda: False)
    item = open_prediction(0, "a car", "a auto")
    names = default_metrics([item])
    assert "meteor_no_wordnet" in names
    assert "meteor" not in names
    with pytest.raises(text_metrics.WordNetMissingError, match=r"nltk\.downloader wordnet"):
        METRICS.get("meteor").statistics([item])
    about = METRICS.get("meteor_no_wordnet").about
    assert "nltk" in about
    assert "WordNet is missing" in about


def test_an_unknown_metric_is_named_with_its_neighbour():
    with pytest.raises(SettingsError, match="did you mean 'accuracy'"):
        METRICS.get("acuracy")
