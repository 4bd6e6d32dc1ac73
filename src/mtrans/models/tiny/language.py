"""Stage 1: the LLM of `tiny` learns the worlds' language from text alone.

A document is a description, then questions and answers about it; the loss counts answers in full
and the description a little, so that it also learns to write captions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtrans.models.tiny.steps import optimise
from mtrans.models.tiny.text import Pieces

DESCRIPTION_WEIGHT = 0.1


@dataclass(frozen=True)
class _Row:
    """A tokenised document: ids, loss weights, and (start, end, type) of each answer."""

    ids: list[int]
    weights: list[float]
    answers: list[tuple[int, int, str]]


def train_language(
    llm: Any,
    corpus: Any,
    pieces: Pieces,
    *,
    seed: int,
    steps: int,
    batch: int,
    learning_rate: float,
    log: Path,
    held_out: int = 2000,
) -> dict[str, float]:
    """Trains the LLM in place.

    Args:
        llm: A causal LM of transformers.
        corpus: Module with ``make_document(rng)``.
        pieces: The tokenizer.
        seed: Of the documents.
        steps: Optimizer steps.
        batch: Documents a step.
        learning_rate: Peak.
        log: JSONL file.
        held_out: Fresh documents it is measured on at the end; a fifth of them on the way.

    Returns:
        Teacher-forced accuracy of whole answers on fresh documents, by question type.
    """
    rng = np.random.default_rng([seed, 1])
    waiting: list[list[_Row]] = []

    def loss_of_step(_: int) -> tuple[Tensor, dict[str, float]]:
        if not waiting:
            # documents of like length go together: half of a mixed batch would be padding
            drawn = sorted((_document(corpus, pieces, rng) for _ in range(8 * batch)), key=_length)
            waiting.extend(drawn[k * batch : (k + 1) * batch] for k in rng.permutation(8))
        ids, weights = _rows(pieces, waiting.pop())[:2]
        logits = llm(input_ids=ids).logits[:, :-1]
        target, weight = ids[:, 1:], weights[:, 1:]
        loss = F.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="none")
        return (loss * weight.flatten()).sum() / weight.sum(), {}

    optimise(
        llm.parameters(), loss_of_step, steps=steps, learning_rate=learning_rate, log=log,
        stage="language", check=lambda: evaluate_language(llm, corpus, pieces, seed, held_out // 5),
    )  # fmt: skip
    return evaluate_language(llm, corpus, pieces, seed, held_out)


@torch.no_grad()
def evaluate_language(
    llm: Any, corpus: Any, pieces: Pieces, seed: int, documents: int
) -> dict[str, float]:
    """Returns the share of answers in which every token is the likeliest, by question type."""
    rng = np.random.default_rng([seed, 2])
    hits: dict[str, list[bool]] = {}
    for first in range(0, documents, 100):
        ids, _, answers = _batch(corpus, pieces, rng, min(100, documents - first))
        right = llm(input_ids=ids).logits[:, :-1].argmax(-1) == ids[:, 1:]
        for row, start, end, kind in answers:
            hits.setdefault(f"text_{kind}", []).append(bool(right[row, start - 1 : end - 1].all()))
    return {kind: float(np.mean(h)) for kind, h in sorted(hits.items())}


def _batch(corpus: Any, pieces: Pieces, rng: np.random.Generator, size: int):
    return _rows(pieces, [_document(corpus, pieces, rng) for _ in range(size)])


def _document(corpus: Any, pieces: Pieces, rng: np.random.Generator) -> _Row:
    document = corpus.make_document(rng)
    ids = list(pieces.ids(document.text))
    weights = [DESCRIPTION_WEIGHT] * len(ids)
    answers: list[tuple[int, int, str]] = []
    for question in document.questions:
        prompt, answer = pieces.prompt(question), pieces.answer(question.answer)
        start = len(ids) + len(prompt)
        answers.append((start, start + len(answer), question.type))
        ids += prompt + answer
        weights += [0.0] * len(prompt) + [1.0] * len(answer)
    return _Row(ids, weights, answers)


def _length(row: _Row) -> int:
    return len(row.ids)


def _rows(
    pieces: Pieces, rows: list[_Row]
) -> tuple[Tensor, Tensor, list[tuple[int, int, int, str]]]:
    longest = max(map(_length, rows))
    weights = torch.tensor([r.weights + [0.0] * (longest - len(r.ids)) for r in rows])
    answers = [(k, *answer) for k, row in enumerate(rows) for answer in row.answers]
    return pieces.pad_rows([r.ids for r in rows]), weights, answers
