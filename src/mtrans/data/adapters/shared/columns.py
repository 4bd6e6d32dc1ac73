"""Rows with named columns -> samples: what `csv` and `hf` share; options name the columns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtrans.core.errors import DatasetError, SettingsError, did_you_mean
from mtrans.core.records import Fact, Sample, Turn
from mtrans.data.adapters.shared.base import Option, Request
from mtrans.data.adapters.shared.files import VideoFolder
from mtrans.data.fields import FieldError, sample_from_json

MOST_CLASSES = 20
"""Different answers up to which `candidates=auto` takes them for classes."""

COLUMN_OPTIONS: Mapping[str, Option] = {
    "video": Option("column of the clip's path, looked up below --videos", "video"),
    "question": Option("column of the question", "question"),
    "ask": Option("one question for all rows, in place of a column"),
    "answer": Option("column of the right answer", "answer"),
    "names": Option("answers renamed: fight=yes,noFight=no"),
    "candidates": Option(
        "the same for all rows: a|b|c; `auto`: all answers, if there are at most"
        f" {MOST_CLASSES} different ones; `open`: none",
        "auto",
    ),
    "choices": Option("columns of each row's own candidates: a0,a1,a2; or one that lists them"),
    "label": Option("column of the right candidate's index, from 0; with `choices`"),
    "id": Option("column of the id; without it the row's number"),
    "start": Option("column of the clip's start in seconds"),
    "end": Option("column of the clip's end in seconds"),
    "group": Option("column of what must stay on one side of a split"),
    "speaker": Option("column of who is seen or heard"),
    "part": Option("column of the split: train, val, test or a fold's name"),
    "type": Option("column of the question's type"),
    "context": Option("column of the text before the question"),
    "facts": Option("columns kept as facts of the clip: fps,width,has_audio"),
}

_SINGLE = tuple(
    n for n in COLUMN_OPTIONS if n not in ("ask", "names", "candidates", "choices", "facts")
)

SPLIT_NAMES = {"training": "train", "dev": "val", "valid": "val", "validation": "val"}


class Columns:
    """Reads samples from rows.

    Args:
        request: Its options name the columns.
        header: The columns there are.
        place: What the rows come from, for errors.
        videos: Where the clips are.
        near: Folder against which clips are looked up where no video folder is given.

    Raises:
        SettingsError: An option names a column that is not there.
    """

    def __init__(
        self, request: Request, header: Sequence[str], place: str, videos: VideoFolder, near: str
    ):
        self.options = request.options
        self.place, self.videos, self.near = place, videos, near
        for name in ("choices", "facts"):
            for column in self._list(name):
                self._check(name, column, header)
        needed = {"video", *(() if self.options["ask"] else ("question",))}
        needed |= set() if self.options["label"] else {"answer"}
        for name in _SINGLE:
            if name in needed or self.options[name] != COLUMN_OPTIONS[name].default:
                self._check(name, self.options[name], header)

    def _check(self, name: str, column: str | None, header: Sequence[str]) -> None:
        """Holds that a column is there; ``--option NAME=`` says that there is none."""
        if column and column not in header:
            hint = ", or --option 'ask=What is shown?' for all rows" if name == "question" else ""
            near = did_you_mean(column, header)
            raise SettingsError(
                f"{self.place}: no column '{column}' for option {name}{near}; name it"
                f" with --option {name}=COLUMN, or say --option {name}= for none{hint}"
                f" (columns: {', '.join(header)[:300]})"
            )

    def samples(self, rows: Iterable[Mapping[str, Any]], split: str | None = None) -> list[Sample]:
        """Returns a sample a row.

        Args:
            rows: Column -> value.
            split: Split of rows that name none.

        Raises:
            DatasetError: A row is not a valid sample.
        """
        rows = list(rows)
        names = self._names()
        answers = [self._text(row, "answer") for row in rows]
        answers = [names.get(a, a) if a is not None else None for a in answers]
        fixed = self._candidates(answers)
        made = []
        for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            where = f"{self.place}: row {number + 1}"
            record = self._record(row, number, answer, fixed, split, where)
            try:
                made.append(sample_from_json(record))
            except FieldError as error:
                raise DatasetError(f"{where}: {error}") from None
        return made

    def _record(
        self,
        row: Mapping[str, Any],
        number: int,
        answer: str | None,
        fixed: Sequence[str] | None,
        split: str | None,
        where: str,
    ) -> dict[str, Any]:
        part = self._text(row, "part")
        video = self._text(row, "video")
        choices = self._own_choices(row, where) or fixed
        label = self._number(row, "label", where)
        context = self._text(row, "context")
        return {
            "id": self._text(row, "id") or f"{split + '-' if split else ''}{number:05d}",
            "video": None if video is None else self._video(video),
            "question": self.options["ask"] or self._text(row, "question"),
            "answer": answer if label is None else None,
            "choices": None if choices is None else list(choices),
            "label": None if label is None else int(label),
            "start": self._number(row, "start", where),
            "end": self._number(row, "end", where),
            "context": None if context is None else [vars(Turn(context))],
            "speaker": self._text(row, "speaker"),
            "group": self._text(row, "group"),
            "split": SPLIT_NAMES.get(part.lower(), part) if part else split,
            "type": self._text(row, "type"),
            "facts": {name: _fact(row.get(name)) for name in self._list("facts")},
        }

    def _video(self, video: str) -> str:
        if self.videos.folder is not None and not os.path.isabs(video):
            return self.videos.place(video)
        return os.path.abspath(os.path.join(self.near, video))

    def _own_choices(self, row: Mapping[str, Any], where: str) -> list[str] | None:
        columns = self._list("choices")
        if len(columns) == 1:
            value = row.get(columns[0])
            if not isinstance(value, list | tuple):
                raise DatasetError(f"{where}: {columns[0]} holds no list of candidates")
            return [str(v) for v in value]
        return [str(row[c]).strip() for c in columns] or None

    def _candidates(self, answers: Sequence[str | None]) -> list[str] | None:
        given = self.options["candidates"] or "auto"
        if given == "open" or self.options["choices"]:
            return None
        if given != "auto":
            return [c.strip() for c in given.split("|")]
        found = sorted({a for a in answers if a is not None})
        return found if 2 <= len(found) <= MOST_CLASSES else None

    def _names(self) -> dict[str, str]:
        given = self.options["names"]
        pairs = [word.split("=", 1) for word in given.split(",")] if given else []
        if any(len(pair) != 2 for pair in pairs):
            raise SettingsError(f"option names={given}: wanted old=new,old=new")
        return {old.strip(): new.strip() for old, new in pairs}

    def _list(self, name: str) -> list[str]:
        return [c.strip() for c in (self.options[name] or "").split(",") if c.strip()]

    def _text(self, row: Mapping[str, Any], name: str) -> str | None:
        column = self.options[name]
        value = row.get(column) if column else None
        text = "" if value is None else str(value).strip()
        return text or None

    def _number(self, row: Mapping[str, Any], name: str, where: str) -> float | None:
        text = self._text(row, name)
        try:
            return None if text is None else float(text)
        except ValueError:
            column = self.options[name]
            raise DatasetError(f"{where}: {column} is '{text}'; wanted a number") from None


def _fact(value: Any) -> Fact:
    """Returns a fact as a number where it is written as one."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value).strip()
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if abs(number) < float("inf") else text
    return text or None
