"""Wordings of questions as data: a name, a version, a text, its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A wording; change its text and raise its version, as adapters were trained on it.

    The tests hold the wording fixed through each data set's ``expected.json``. How a question,
    its context and its candidates become the model's prompt is `mtrans.data.prompts`.

    Attributes:
        name: Of the wording, unique within its data set.
        text: With ``{fields}`` that a data set fills in.
        choices: The candidates, where they are always the same.
        version: Counted from 1.
        source: Where the wording comes from.
    """

    name: str
    text: str
    choices: tuple[str, ...] | None = None
    version: int = 1
    source: str = "ours"

    def ask(self, **fields: str) -> str:
        """Returns the question with its fields filled in."""
        return self.text.format(**fields)


def distinct(choices: Sequence[str], label: int | None) -> tuple[tuple[str, ...], int | None]:
    """Drops candidates that repeat an earlier one; a few published questions have such.

    Args:
        choices: The candidates.
        label: Index of the right one, where known.

    Returns:
        The candidates that differ, and the right one's index among them.
    """
    kept = tuple(dict.fromkeys(choices))
    return kept, None if label is None else kept.index(choices[label])
