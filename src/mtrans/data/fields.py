"""One manifest line <-> one sample: every field is checked here. Needs no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mtrans.core.errors import ManifestError, did_you_mean
from mtrans.core.records import Fact, Sample, Turn

FIELDS = tuple(f.name for f in fields(Sample))


class FieldError(ManifestError):
    """A field has a wrong value; the reader adds file and line.

    Args:
        field: The field's name.
        reason: What came, what was wanted.
    """

    def __init__(self, field: str, reason: str):
        reason = " ".join(reason.split())  # what came may hold line breaks; an error is one line
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field, self.reason = field, reason


def sample_from_json(record: Mapping[str, Any]) -> Sample:
    """Checks one manifest line and turns it into a sample; the video path stays as it is written.

    Args:
        record: The parsed JSON object.

    Returns:
        The sample; of `answer` and `label` the one that is missing is filled in from `choices`.

    Raises:
        FieldError: A field is unknown, missing, or has a wrong value.
    """
    for name in record:
        if name not in FIELDS:
            raise FieldError(name, f"unknown field{did_you_mean(name, FIELDS)}")
    choices = _choices(record.get("choices"))
    answer, label = _answer(_text(record, "answer"), choices, record.get("label"))
    start, end = _seconds(record, "start"), _seconds(record, "end")
    if end is not None and (start or 0.0) >= end:
        raise FieldError(
            "end", f"{end} is not after start {start or 0.0}; wanted start < end in seconds"
        )
    video = _text(record, "video")
    if video is not None and "://" in video:
        raise FieldError(
            "video", f"'{video}' is an address; wanted the path of a file, fetch it first"
        )
    return Sample(
        id=_required(record, "id"),
        video=video,
        question=_required(record, "question"),
        answer=answer,
        choices=choices,
        label=label,
        start=start,
        end=end,
        context=_context(record.get("context")),
        speaker=_text(record, "speaker"),
        group=_text(record, "group"),
        split=_text(record, "split"),
        type=_text(record, "type"),
        facts=_facts(record.get("facts")),
    )


def kind_of(value: Any) -> str:
    """Names what came, short enough for one line."""
    if value is None:
        return "null"
    names = {
        bool: "yes/no",
        int: "number",
        float: "number",
        str: "text",
        list: "list",
        dict: "object",
    }
    shown = json.dumps(value, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{names.get(type(value), type(value).__name__)} {shown}"


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise FieldError(name, f"{kind_of(value)}; wanted text")
    if not value.strip():
        raise FieldError(name, "empty; wanted text, or leave the field out")
    if "\x00" in value and name == "video":
        raise FieldError(name, "holds a zero byte; wanted the path of a file")
    return value


def _required(record: Mapping[str, Any], name: str) -> str:
    value = _text(record, name)
    if value is None:
        raise FieldError(name, "missing; every sample needs it")
    return value


def _seconds(record: Mapping[str, Any], name: str) -> float | None:
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(name, f"{kind_of(value)}; wanted seconds as a number")
    if not math.isfinite(value) or value < 0:
        raise FieldError(name, f"{value}; wanted seconds from the file's beginning, 0 or more")
    return float(value)


def _choices(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        value = list(value)
    if not isinstance(value, list):
        raise FieldError("choices", f"{kind_of(value)}; wanted a list of texts")
    if len(value) < 2:
        raise FieldError(
            "choices", f"{len(value)} given; wanted at least two, or leave the field out"
        )
    for place, choice in enumerate(value):
        if not isinstance(choice, str) or not choice.strip():
            raise FieldError("choices", f"item {place} is {kind_of(choice)}; wanted non-empty text")
        if choice in value[:place]:
            raise FieldError("choices", f"'{choice}' is given twice; candidates must differ")
    return tuple(value)


def _answer(
    answer: str | None, choices: tuple[str, ...] | None, label: Any
) -> tuple[str | None, int | None]:
    if label is not None and (isinstance(label, bool) or not isinstance(label, int)):
        raise FieldError("label", f"{kind_of(label)}; wanted the index of the right choice, from 0")
    if choices is None:
        if label is not None:
            raise FieldError("label", f"{label} given without choices; add choices, or use answer")
        return answer, None
    if label is not None:
        if not 0 <= label < len(choices):
            raise FieldError(
                "label", f"{label} is outside 0..{len(choices) - 1}, the indices of choices"
            )
        if answer is not None and answer != choices[label]:
            raise FieldError(
                "answer", f"'{answer}', but label {label} is '{choices[label]}'; make them agree"
            )
        return choices[label], label
    if answer is None:
        return None, None
    if answer not in choices:
        raise FieldError(
            "answer", f"'{answer}' is not among choices{did_you_mean(answer, choices)}"
        )
    return answer, choices.index(answer)


def _context(value: Any) -> tuple[Turn, ...]:
    if value is None:
        return ()
    turns = [value] if isinstance(value, str | dict | Turn) else value
    if not isinstance(turns, list | tuple):
        raise FieldError(
            "context", f"{kind_of(value)}; wanted a list of turns with text and speaker"
        )
    return tuple(_turn(turn, place) for place, turn in enumerate(turns))


def _turn(turn: Any, place: int) -> Turn:
    if isinstance(turn, str):
        turn = {"text": turn}
    if isinstance(turn, Turn):
        turn = {"text": turn.text, "speaker": turn.speaker}
    if not isinstance(turn, dict):
        raise FieldError("context", f"turn {place} is {kind_of(turn)}; wanted text and speaker")
    for name in turn:
        if name not in ("text", "speaker"):
            raise FieldError(
                "context",
                f"turn {place}: unknown field '{name}'{did_you_mean(name, ('text', 'speaker'))}",
            )
    try:
        return Turn(text=_required(turn, "text"), speaker=_text(turn, "speaker"))
    except FieldError as error:
        raise FieldError("context", f"turn {place}: {error}") from None


def _facts(value: Any) -> dict[str, Fact]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FieldError("facts", f"{kind_of(value)}; wanted an object of names and values")
    for name, fact in value.items():
        number = isinstance(fact, float) and not math.isfinite(fact)
        if number or not isinstance(fact, str | int | float | bool | None):
            raise FieldError(
                "facts", f"'{name}' is {kind_of(fact)}; wanted text, a finite number, true or false"
            )
    return dict(value)
