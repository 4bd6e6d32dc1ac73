"""CIDEr-D of descriptions: words that few clips' references use count most.

Vedantam et al., CIDEr: Consensus-based Image Description Evaluation, CVPR 2015, section 6: n-grams
of 1 to 4 words, each weighted by its count and the log of (clips / clips whose references have it),
cosine similarity to each reference with the answer's weights clipped to the reference's, a Gaussian
penalty on the difference of lengths (sigma 6), mean over references and n, times 10. Counts are not
divided by the text's length, as in the authors' code.

A clip's references are the right answers of all predictions about it with the same question: a clip
with five captions is five samples. Weights come from the predictions that are measured together, so
a part of them (a break-down, a fold) has weights of its own, and a single clip has none and gets 0.
An answer of fewer than four words can't reach 10. Words are runs of letters and digits in lower
case; the authors' tokenizer (Penn Treebank) differs in contractions and hyphens.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from mtrans.core.records import Prediction
from mtrans.measure.metrics import Statistics, mean_of, metric, said, truth

LONGEST = 4
"""Words of the longest n-grams."""

SIGMA = 6.0
"""Words of difference in length at which the penalty is exp(-1/2)."""

_WORD = re.compile(r"\w+")

Gram = tuple[str, ...]


@metric(
    "cider_d",
    task="open",
    about="CIDEr-D of Vedantam et al. 2015 (1 to 4 words, sigma 6), from 0 to 10, own code, words"
    " as runs of letters and digits; published numbers are usually this times 100",
    share=False,
)
def cider_d(predictions: Sequence[Prediction]) -> Statistics:
    """CIDEr-D; a bootstrap replicate keeps the weights of the whole."""
    keys: list[Hashable] = [
        (p.video, p.start, p.end, p.question) if p.video else p.id for p in predictions
    ]
    references: dict[Hashable, list[str]] = {}
    for key, p in zip(keys, predictions, strict=True):
        references.setdefault(key, []).append(truth(p) or "")
    scorer = CiderD(list(references.values()))
    scores = [
        scorer.score(said(p) or "", references[key])
        for key, p in zip(keys, predictions, strict=True)
    ]
    return mean_of(scores, fraction=False)


class CiderD:
    """CIDEr-D with the weights of a corpus.

    Args:
        references: The reference texts of each clip.
    """

    def __init__(self, references: Sequence[Sequence[str]]):
        seen: Counter[Gram] = Counter()
        for texts in references:
            seen.update({gram for text in texts for gram in _grams(_words(text))})
        self._seen: Mapping[Gram, int] = seen
        self._log_clips = math.log(max(1, len(references)))

    def score(self, answer: str, references: Sequence[str]) -> float:
        """Compares an answer with a clip's references.

        Returns:
            0 to 10.
        """
        said_ = self._weigh(answer)
        values = [_similarity(said_, self._weigh(text)) for text in references]
        return 10.0 * sum(values) / len(values)

    def _weigh(self, text: str) -> _Weighted:
        words = _words(text)
        weights: list[dict[Gram, float]] = [{} for _ in range(LONGEST)]
        for gram, count in _grams(words).items():
            rare = self._log_clips - math.log(max(1, self._seen.get(gram, 0)))
            weights[len(gram) - 1][gram] = count * rare
        norms = [math.sqrt(sum(w * w for w in part.values())) for part in weights]
        return _Weighted(len(words), weights, norms)


@dataclass(frozen=True)
class _Weighted:
    length: int
    weights: list[dict[Gram, float]]
    norms: list[float]


def _similarity(answer: _Weighted, reference: _Weighted) -> float:
    total = 0.0
    for n in range(LONGEST):
        scale = answer.norms[n] * reference.norms[n]
        if scale:
            wanted = reference.weights[n]
            both = answer.weights[n].keys() & wanted.keys()
            total += sum(min(answer.weights[n][g], wanted[g]) * wanted[g] for g in both) / scale
    apart = answer.length - reference.length
    return total / LONGEST * math.exp(-(apart**2) / (2 * SIGMA**2))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(words: Sequence[str]) -> Counter[Gram]:
    return Counter(
        tuple(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1)
    )
