"""Answers without the LLM: the side of the assembled model for designs with a classifier.

    prompt's embeddings + clip -> connector.scores -> log-probabilities of known answers

The known answers are token ids, kept in ``config.mtrans_answers`` and beside the adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mtrans.core.errors import SettingsError
from mtrans.models.answering import close_gaps
from mtrans.models.inputs import ModelInputs

if TYPE_CHECKING:  # the mixin stands in front of a transformers class, which has the rest
    Base = Any
else:
    Base = object

UNKNOWN = -20.0
"""Log-probability of an answer that is no class; a class can hardly be less likely."""


class OwnAnswersMixin(Base):
    """Adds answering by a classifier to the assembled model."""

    @property
    def answers_itself(self) -> bool:
        """Whether the connector answers in place of the LLM."""
        return bool(self.connecting.answers_itself)

    def set_answers(self, answers: Sequence[Sequence[int]]) -> None:
        """Says which answers there are, and makes a new classifier for them.

        Args:
            answers: Token ids as they follow a prompt, end-of-sequence included; in the order of
                the classes.
        """
        self.config.mtrans_answers = [[int(i) for i in answer] for answer in answers]
        self.connecting.classify(len(answers))
        self.connecting.classifier.to(self.query_tokens.device)

    def _class_of(self, answer: Sequence[int] | Tensor) -> int | None:
        known: list[list[int]] = self.config.mtrans_answers
        ids = [int(i) for i in answer]
        return known.index(ids) if ids in known else None

    def _own_scores(self, asked: ModelInputs, labels: Tensor | None = None) -> Tensor:
        """Returns log-probabilities float[B, n] of the known answers."""
        if not getattr(self.config, "mtrans_answers", None):
            raise SettingsError(
                f"model.connector={self.settings.connector} has a classifier and knows no answers"
                " yet; adapt it, or call set_answers"
            )
        ids = asked.prompt
        seen = torch.ones_like(ids) if asked.attention_mask is None else asked.attention_mask
        if labels is not None and self.config.use_decoder_only_language_model:
            seen = seen * (labels == -100).to(seen.dtype)  # the answer stands behind the prompt
        text, seen = close_gaps(self.get_input_embeddings()(ids), seen)
        return cast(Tensor, self.connecting(self._clips(asked), text, seen.bool()))

    def _own_loss(
        self, asked: ModelInputs, labels: Tensor | None, num_items: Tensor | int | None
    ) -> tuple[Tensor | None, Tensor]:
        """Returns the loss, divided by answer tokens as the LLM's is, and the scores."""
        scores = self._own_scores(asked, labels)
        if labels is None:
            return None, scores
        total = scores.new_zeros(())
        for row, label in zip(scores, labels, strict=True):
            place = self._class_of(label[label != -100])
            total = total + (-UNKNOWN if place is None else self._class_loss(row, place))
        count = (labels != -100).sum().clamp(min=1) if num_items is None else num_items
        return total / count, scores

    def _class_loss(self, row: Tensor, place: int) -> Tensor:
        """Cross-entropy of the right class, smoothed or focal as the run wants it."""
        return cast(Tensor, self._loss(row[None], torch.tensor([place], device=row.device), 1))

    def _own_choices(
        self, choices: Sequence[Sequence[Sequence[int] | Tensor]], asked: ModelInputs
    ) -> list[Tensor]:
        """Returns for each clip the log-probabilities of its candidates."""
        found = []
        for row, group in zip(self._own_scores(asked), choices, strict=True):
            places = [self._class_of(choice) for choice in group]
            unknown = row.new_tensor(UNKNOWN)
            found.append(torch.stack([unknown if p is None else row[p] for p in places]))
        return found

    def _own_generate(self, asked: ModelInputs, pad: int) -> Tensor:
        """Returns the likeliest answers' ids, where `generate` would have written them."""
        best = self._own_scores(asked).argmax(dim=1).tolist()
        device = asked.prompt.device
        rows = [torch.tensor(self.config.mtrans_answers[i], device=device) for i in best]
        answers = pad_sequence(rows, batch_first=True, padding_value=pad)
        before = asked.prompt  # an encoder-decoder LLM's own ids begin with its start token
        if not self.config.use_decoder_only_language_model:
            before = torch.full_like(before[:, :1], pad)
        return torch.cat([before, answers], dim=1)
