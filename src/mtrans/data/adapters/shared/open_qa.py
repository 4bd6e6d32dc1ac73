"""The form that MSVD-QA and MSRVTT-QA share: {question, answer, id, video_id}, one JSON a split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mtrans.core.errors import DatasetError
from mtrans.data.adapters.shared.files import field_of, read_json

PARTS = {"train": "train_qa.json", "val": "val_qa.json", "test": "test_qa.json"}


class OpenQuestion(NamedTuple):
    """One question."""

    key: str
    """Its id, unique over all splits."""

    video: int
    """The number of its video."""

    question: str
    answer: str
    record: dict[str, Any]
    """All that the file says of it."""


def read_open_qa(path: Path) -> Iterator[OpenQuestion]:
    """Yields the questions of one file.

    Raises:
        DatasetError: It can't be read, or is not in the form.
    """
    for place, record in enumerate(read_json(path, list), 1):
        where = f"{path}: question {place}"
        yield OpenQuestion(
            str(field_of(record, "id", int, where)),
            field_of(record, "video_id", int, where),
            text_of(record, "question", where),
            text_of(record, "answer", where),
            record,
        )


def text_of(record: Any, name: str, where: str) -> str:
    """Returns a field that must hold some text, with single spaces.

    Raises:
        DatasetError: It is missing, empty or no text.
    """
    text = " ".join(field_of(record, name, str, where).split())
    if not text:
        raise DatasetError(f"{where}: {name} is empty; wanted text")
    return text


def question_word(question: str) -> str:
    """Returns the type of a question as these sets name it: its first word."""
    return question.split()[0].lower()
