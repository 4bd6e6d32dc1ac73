"""Pieces of text as token ids, as the recipe's stages and the prompt style `tiny` write them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Pieces:
    """Tokenises once and remembers: the worlds' language repeats itself.

    Args:
        tokenizer: The tokenizer of `tiny`.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.pad: int = tokenizer.pad_token_id
        self.eos: int = tokenizer.eos_token_id
        self._known: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text, no special tokens."""
        if text not in self._known:
            self._known[text] = self.tokenizer(text, add_special_tokens=False).input_ids
        return self._known[text]

    def qformer(self, question: Any) -> list[int]:
        """Returns what the Q-Former reads of a question (`context`, `text`)."""
        return self.ids(_asked(question))

    def prompt(self, question: Any) -> list[int]:
        """Returns what the LLM reads before it answers."""
        return self.ids(f"{_asked(question)} answer:")

    def answer(self, text: str) -> list[int]:
        """Returns the answer's ids with the end-of-sequence token."""
        return [*self.ids(f" {text}"), self.eos]

    def pad_rows(self, rows: list[list[int]], value: int | None = None) -> Tensor:
        """Pads on the right; int64[len(rows), longest]."""
        longest = max(map(len, rows))
        value = self.pad if value is None else value
        return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def _asked(question: Any) -> str:
    asked = f"question: {question.text}"
    return f"context: {question.context} {asked}" if question.context else asked
