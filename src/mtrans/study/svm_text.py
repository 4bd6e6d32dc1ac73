"""A floor from words alone: a linear support vector machine on pooled text.

    context + question -> TF-IDF of words and word pairs, pooled over the text -> SVM -> answer

Source: the SVM baseline of MUStARD (Castro et al., ACL 2019), with TF-IDF in place of pooled GloVe
or BERT vectors, so that it needs no other weights. It never sees a frame. Needs no torch.

python -m mtrans.study.svm_text train.jsonl test.jsonl predictions.jsonl
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtrans.core.errors import MTransError
from mtrans.core.records import Prediction, Sample
from mtrans.data.manifest import read_manifest
from mtrans.measure.predictions import write_predictions
from mtrans.study.floors import answer_by_kind


def svm_text(
    train: Sequence[Sample], test: Sequence[Sample], *, penalty: float = 1.0
) -> list[Prediction]:
    """Answers by a linear SVM on the words of each question and what was said before it.

    Probabilities are the softmax of the margins: good for their order, not calibrated.

    Args:
        train: Samples with answers.
        test: What to answer.
        penalty: C, the inverse penalty.

    Returns:
        One prediction a test sample.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    def guess(
        some: Sequence[Sample], classes: list[str], asked: Sequence[Sample]
    ) -> tuple[list[str], NDArray[np.float64]]:
        names = sorted(set(classes))
        if len(names) == 1:  # nothing to tell apart
            return names, np.ones((len(asked), 1))
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        try:
            seen = words.fit_transform([pooled_text(s) for s in some])
        except ValueError:  # not a word in any text: every class is as good
            return names, np.full((len(asked), len(names)), 1 / len(names))
        machine = LinearSVC(C=penalty, random_state=0).fit(seen, classes)
        margins = np.asarray(
            machine.decision_function(words.transform([pooled_text(s) for s in asked]))
        )
        if margins.ndim == 1:
            margins = np.stack([-margins, margins], axis=1)
        weights = np.exp(margins - margins.max(axis=1, keepdims=True))
        return [str(name) for name in machine.classes_], weights / weights.sum(axis=1)[:, None]

    return answer_by_kind(train, test, guess)


def pooled_text(sample: Sample) -> str:
    """Returns all words of a sample: who says what before the question, and the question."""
    said = [f"{turn.speaker or ''} {turn.text}" for turn in sample.context]
    return " ".join([*said, sample.question])


def main(arguments: list[str] | None = None) -> None:
    """Writes the floor's predictions, for `mtrans compare`."""
    parser = argparse.ArgumentParser(
        prog="python -m mtrans.study.svm_text",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("train", help="manifest to learn from")
    parser.add_argument("test", help="manifest to answer")
    parser.add_argument("out", help="predictions to write")
    parser.add_argument("--penalty", type=float, default=1.0, help="C, the inverse penalty")
    given = parser.parse_args(arguments)
    try:
        found = svm_text(
            read_manifest(given.train), read_manifest(given.test), penalty=given.penalty
        )
        write_predictions(given.out, found)
    except MTransError as error:
        sys.exit(f"error: {error}")
    print(f"{len(found)} answers written to {given.out}")


if __name__ == "__main__":
    main()
