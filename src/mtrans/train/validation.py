"""Scoring of samples by a model: what validation, prediction and `ask` share.

A multiple-choice question is scored by the likelihood of every candidate, an open one by the
cross-entropy of its right answer. Nothing here draws random numbers or keeps gradients.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from mtrans.data.collate import Collator, Item
from mtrans.train.together import ALONE, Team

T = TypeVar("T")


@dataclass(frozen=True)
class Totals:
    """Sums over validation samples, to be added up over batches and processes.

    Attributes:
        nll: Summed negative log-likelihood of the right answers' tokens, EOS included.
        tokens: Answer tokens.
        right: Multiple-choice questions answered right.
        asked: Multiple-choice questions.
    """

    nll: float = 0.0
    tokens: float = 0.0
    right: float = 0.0
    asked: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.nll + other.nll,
            self.tokens + other.tokens,
            self.right + other.right,
            self.asked + other.asked,
        )

    def metrics(self) -> dict[str, float]:
        """Returns ``loss``, and ``accuracy`` where there were multiple-choice questions."""
        metrics = {"loss": self.nll / max(1.0, self.tokens)}
        if self.asked:
            metrics["accuracy"] = self.right / self.asked
        return metrics


def to_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Moves a batch."""
    return {key: value.to(device) for key, value in batch.items()}


@contextlib.contextmanager
def scoring(model: torch.nn.Module, *, device: torch.device, bf16: bool) -> Iterator[None]:
    """Evaluation mode, no gradients, the arithmetic of training; the former mode comes back."""
    training = model.training
    model.eval()
    autocast = torch.autocast(device.type, torch.bfloat16) if bf16 else contextlib.nullcontext()
    try:
        with torch.no_grad(), autocast:
            yield
    finally:
        model.train(training)


def choice_log_likelihoods(
    model: Any, collate: Collator, items: Sequence[Item], device: torch.device
) -> list[Tensor]:
    """Scores every candidate of multiple-choice samples.

    Args:
        model: The assembled model.
        collate: Makes prompts and candidates' tokens.
        items: Samples with choices, and their frames.
        device: Where the model is.

    Returns:
        For each sample float[n choices] on the CPU: summed log-likelihoods, EOS included.
    """
    batch = to_device(collate.prompts(items, share=True), device)
    choices = [collate.choice_ids(sample) for sample, _, _ in items]
    return [score.float().cpu() for score in model.score_choices(choices, **batch)]


def choice_totals(
    model: Any, collate: Collator, items: Sequence[Item], device: torch.device
) -> Totals:
    """Scores labelled multiple-choice samples."""
    totals = Totals()
    scores = choice_log_likelihoods(model, collate, items, device)
    for (sample, _, _), score in zip(items, scores, strict=True):
        label = sample.label or 0
        tokens = len(collate.choice_ids(sample)[label])
        right = float(int(score.argmax()) == label)
        totals += Totals(nll=-float(score[label]), tokens=tokens, right=right, asked=1)
    return totals


def open_totals(
    model: Any, collate: Collator, items: Sequence[Item], device: torch.device
) -> Totals:
    """Scores the right answers of open samples."""
    batch = to_device(collate(items), device)
    tokens = int((batch["labels"] != -100).sum())
    return Totals(nll=float(model(**batch).loss) * tokens, tokens=tokens)


class Validator:
    """Validation over a small set, shared by all processes.

    Args:
        model: The assembled model, unwrapped.
        collate: Batch maker.
        samples: Validation items by index; anything with a length.
        batch_size: Samples scored together.
        device: Where the model is.
        bf16: Whether training computes in bf16.
        team: The processes; each scores its share.
        in_step: Have every process score everything, and the main one's result count: where a
            forward pass is done by all processes together, none may do one more than another.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        collate: Collator,
        samples: Any,
        *,
        batch_size: int,
        device: torch.device,
        bf16: bool = False,
        team: Team = ALONE,
        in_step: bool = False,
    ):
        self.model = model
        self.collate = collate
        self.samples = samples
        self.batch_size = batch_size
        self.device = device
        self.bf16 = bf16
        self.team = team
        self.in_step = in_step

    def __call__(self) -> dict[str, float]:
        """Returns ``loss`` and, where there are choices, ``accuracy`` over all samples."""
        totals = Totals()
        places = range(len(self.samples))
        own = (self.samples[i] for i in (places if self.in_step else self.team.share(places)))
        with scoring(self.model, device=self.device, bf16=self.bf16):
            for items in chunks(own, self.batch_size):
                for has_choices, score in ((True, choice_totals), (False, open_totals)):
                    part = [i for i in items if (i[0].choices is not None) == has_choices]
                    if part:
                        totals += score(self.model, self.collate, part, self.device)
        return self._over_processes(totals).metrics()

    def _over_processes(self, totals: Totals) -> Totals:
        if self.in_step:
            return self.team.in_main(lambda: totals)
        return sum(self.team.collect(totals), Totals())


def chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yields lists of `size` things, the last one shorter."""
    chunk: list[T] = []
    for thing in things:
        chunk.append(thing)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
