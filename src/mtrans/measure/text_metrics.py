"""Metrics of open answers: exact match, ROUGE (rouge-score) and METEOR (nltk)."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version

from mtrans.core.errors import MTransError
from mtrans.core.records import Prediction
from mtrans.measure.metrics import Statistics, mean_of, metric, said, truth

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORD = re.compile(r"\w+")

_ROUGE = f"rouge-score {version('rouge-score')}, no stemmer, words of a to z and digits alone"
_METEOR = (
    f"METEOR of Lavie and Agarwal 2007 (alpha 0.9, beta 3, gamma 0.5), nltk {version('nltk')};"
    " not METEOR 1.5, whose numbers differ"
)


class WordNetMissingError(MTransError):
    """METEOR was asked for by name, but nltk finds no WordNet data."""


def normalise(text: str) -> str:
    """Returns text in lower case without punctuation, articles and extra spaces (as SQuAD does)."""
    text = _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION))
    return " ".join(text.split())


@metric("exact_match", task="open")
def exact_match(predictions: Sequence[Prediction]) -> Statistics:
    """Share of answers equal to the truth but for case, punctuation and articles (as SQuAD)."""
    return _mean_over_pairs(predictions, lambda a, b: float(normalise(a) == normalise(b)))


@metric("rouge_1", task="open", about=f"ROUGE-1 F, {_ROUGE}")
def rouge_1(predictions: Sequence[Prediction]) -> Statistics:
    """F-measure of shared words."""
    return _mean_over_pairs(predictions, lambda a, b: _rouge(a, b)[0])


@metric("rouge_2", task="open", about=f"ROUGE-2 F, {_ROUGE}")
def rouge_2(predictions: Sequence[Prediction]) -> Statistics:
    """F-measure of shared word pairs; 0 where either text is a single word."""
    return _mean_over_pairs(predictions, lambda a, b: _rouge(a, b)[1])


@metric("rouge_l", task="open", about=f"ROUGE-L F, {_ROUGE}")
def rouge_l(predictions: Sequence[Prediction]) -> Statistics:
    """F-measure of the longest common word sequence."""
    return _mean_over_pairs(predictions, lambda a, b: _rouge(a, b)[2])


@metric("meteor", task="open", about=f"{_METEOR}; exact, stem and WordNet synonym matches")
def meteor(predictions: Sequence[Prediction]) -> Statistics:
    """METEOR with synonyms.

    Raises:
        WordNetMissingError: nltk finds no WordNet data.
    """
    if not has_wordnet():
        raise WordNetMissingError(
            "metric 'meteor' needs nltk's WordNet data and found none; get it with"
            " `python -m nltk.downloader wordnet`, or measure 'meteor_no_wordnet'"
        )
    from nltk.corpus import wordnet

    return _mean_over_pairs(predictions, lambda a, b: _meteor(a, b, wordnet))


@metric(
    "meteor_no_wordnet",
    task="open",
    about=f"{_METEOR}; exact and stem matches only, as WordNet is missing: at most the full METEOR",
)
def meteor_no_wordnet(predictions: Sequence[Prediction]) -> Statistics:
    """METEOR without its synonym stage."""
    return _mean_over_pairs(predictions, lambda a, b: _meteor(a, b, _NoWordNet()))


@cache
def has_wordnet() -> bool:
    """Returns whether nltk finds WordNet on this machine; downloads nothing."""
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return False
    return True


class _NoWordNet:
    """Stands for a WordNet without synonyms: nltk's own code then finds none in that stage."""

    def synsets(self, word: str) -> list[object]:
        """Returns no synonym set for any word."""
        return []


def _mean_over_pairs(
    predictions: Sequence[Prediction], score: Callable[[str, str], float]
) -> Statistics:
    pairs = [(said(p), truth(p) or "") for p in predictions]
    # short answers repeat a lot; no answer is like none, even like one that is an article alone
    known = {(a, b): 0.0 if a is None else score(a, b) for a, b in set(pairs)}
    return mean_of([known[pair] for pair in pairs])


@cache
def _scorer() -> object:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)


def _rouge(answer: str, target: str) -> tuple[float, float, float]:
    scores = _scorer().score(target, answer)  # type: ignore[attr-defined]
    return tuple(scores[n].fmeasure for n in ("rouge1", "rouge2", "rougeL"))  # type: ignore[return-value]


def _meteor(answer: str, target: str, wordnet: object) -> float:
    from nltk.translate.meteor_score import single_meteor_score

    words, wanted = _WORD.findall(answer.lower()), _WORD.findall(target.lower())
    return float(single_meteor_score(wanted, words, wordnet=wordnet))
