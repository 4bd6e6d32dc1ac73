"""``predictions.jsonl`` <-> :class:`~mtrans.core.records.Prediction`, one line each.

The writer flushes line by line and goes on where an interrupted run stopped; the reader checks
every field, so that a metric never meets half a record.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError, did_you_mean
from mtrans.core.files import Closing, make_folder, write_text
from mtrans.core.records import Prediction, Sample, Turn

PARSES = ("scored", "parsed", "open", "failed")
"""What `Prediction.parse` may say."""

_FIELDS = tuple(f.name for f in dataclasses.fields(Prediction))
_TEXTS = ("id", "question", "answer", "parse")
_OPTIONAL_TEXTS = ("video", "target", "type", "speaker", "group", "split", "error")


class PredictionsError(MTransError):
    """A predictions file is missing, damaged or does not fit another one."""


def beside(predictions: str | Path, kind: str) -> Path:
    """Returns where what was made of a predictions file is kept; no two files share a place.

    Args:
        predictions: The file.
        kind: What was made, e.g. ``scores``.

    Returns:
        ``scores.json`` for ``predictions.jsonl``, ``scores_val.json`` for ``predictions_val.jsonl``
        and ``answers.scores.json`` for ``answers.jsonl``.
    """
    path = Path(predictions)
    usual = re.fullmatch(r"predictions(_.+)?", path.stem)
    return path.with_name(f"{kind}{usual[1] or ''}.json" if usual else f"{path.stem}.{kind}.json")


def read_predictions(path: str | Path) -> list[Prediction]:
    """Reads and checks a predictions file.

    Args:
        path: A ``predictions.jsonl``.

    Returns:
        The predictions in the order of the file.

    Raises:
        PredictionsError: No such file, an empty one, or a line that is not a valid prediction;
            the message names file, line and field.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise PredictionsError(
            f"predictions file '{path}' can't be read: {error.strerror}; `mtrans eval` writes it"
        ) from error
    predictions: list[Prediction] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        prediction = _parse_line(line, where, is_last=number == len(lines))
        if prediction.id in seen:
            raise PredictionsError(
                f"{where}: field 'id': '{prediction.id}' was already on line {seen[prediction.id]};"
                " ids must be unique"
            )
        seen[prediction.id] = number
        predictions.append(prediction)
    if not predictions:
        raise PredictionsError(f"predictions file '{path}' holds no prediction; run `mtrans eval`")
    return predictions


def write_predictions(path: str | Path, predictions: Iterable[Prediction]) -> None:
    """Writes a predictions file, replacing one that is there only once all lines are written.

    Raises:
        PredictionsError: A prediction holds a number that JSON has no word for (NaN, infinity).
    """
    path = Path(path)
    make_folder(path.parent)
    write_text(path, "".join(_to_line(p) for p in predictions))


class PredictionWriter(Closing):
    """Appends predictions one flushed line at a time, and resumes an interrupted file.

    Use as a context manager. A last line that was cut when the process died is removed (its sample
    has to be predicted again).

    Attributes:
        done: Ids already in the file.
        recovered: What was removed, as one line to show the user; None where nothing was.

    Args:
        path: The file to append to; made with its folder where missing.
        resume: False starts afresh.

    Raises:
        PredictionsError: A line other than the last is damaged.
    """

    def __init__(self, path: str | Path, *, resume: bool = True):
        self.path = Path(path)
        make_folder(self.path.parent)
        self.done: set[str] = set()
        self.recovered: str | None = None
        if resume and self.path.exists():
            self._recover()
        elif self.path.exists():
            self.path.unlink()
        self._file = self.path.open("ab")

    def write(self, prediction: Prediction) -> None:
        """Appends one prediction; it is on its way to the disk when this returns.

        Raises:
            PredictionsError: Its id is in the file already, or a number is NaN or infinite.
        """
        if prediction.id in self.done:
            raise PredictionsError(f"{self.path}: id '{prediction.id}' is already in the file")
        self._file.write(_to_line(prediction).encode())
        self._file.flush()
        self.done.add(prediction.id)

    def close(self) -> None:
        """Closes the file once its lines are on the disk."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def _recover(self) -> None:
        content = self.path.read_bytes()
        whole, newline, tail = content.rpartition(b"\n")
        if tail.strip():
            number = content.count(b"\n") + 1
            try:
                _parse_line(tail, f"{self.path}:{number}", is_last=True)
                with self.path.open("ab") as file:
                    file.write(b"\n")  # only the line's end was missing
            except PredictionsError:
                keep = len(whole) + len(newline)
                with self.path.open("r+b") as file:
                    file.truncate(keep)
                self.recovered = (
                    f"{self.path}:{number}: removed a cut last line of {len(tail)} bytes;"
                    " its sample is predicted again"
                )
        if self.path.stat().st_size:
            self.done = {p.id for p in read_predictions(self.path)}


def question_of(prediction: Prediction) -> Sample:
    """Returns the sample that an answer repeats, as it was asked."""
    names = {f.name for f in dataclasses.fields(Sample)} - {"answer"}
    kept = {name: getattr(prediction, name) for name in names}
    return Sample(answer=prediction.target, **kept)


def _to_line(prediction: Prediction) -> str:
    try:
        return json.dumps(prediction.to_json(), ensure_ascii=False, allow_nan=False) + "\n"
    except (ValueError, TypeError) as error:
        raise PredictionsError(f"prediction '{prediction.id}' can't be written: {error}") from error


def _parse_line(line: bytes, where: str, *, is_last: bool) -> Prediction:
    try:
        data = json.loads(line.decode("utf-8"))
    except ValueError as error:
        if is_last:
            raise PredictionsError(
                f"{where}: the last line is cut, so the run was interrupted;"
                " run the same `mtrans eval` again to finish it, or delete that line"
            ) from error
        raise PredictionsError(f"{where}: not a JSON object ({error})") from error
    if not isinstance(data, dict):
        raise PredictionsError(f"{where}: wanted a JSON object, got {type(data).__name__}")
    for name in data:
        if name not in _FIELDS:
            raise PredictionsError(f"{where}: unknown field '{name}'{did_you_mean(name, _FIELDS)}")
    data.setdefault("answer", "" if data.get("error") else None)
    data.setdefault("video", None)
    data.setdefault("parse", "open")
    try:
        _check(data)
    except _FieldError as error:
        raise PredictionsError(f"{where}: field '{error.field}': {error}") from None
    for name in ("choices", "probabilities", "log_likelihoods"):
        if data.get(name) is not None:
            data[name] = tuple(data[name])
    if "context" in data:
        data["context"] = tuple(Turn(**turn) for turn in data["context"])
    return Prediction(**data)


class _FieldError(Exception):
    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


def _check(data: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        if not isinstance(data.get(name), str):
            raise _FieldError(name, f"wanted text, got {data.get(name)!r}")
    for name in _OPTIONAL_TEXTS:
        if not isinstance(data.get(name), str | None):
            raise _FieldError(name, f"wanted text or nothing, got {data[name]!r}")
    if data["parse"] not in PARSES:
        raise _FieldError("parse", f"got '{data['parse']}'{did_you_mean(data['parse'], PARSES)}")
    for name in ("ms", "start", "end"):
        if data.get(name) is not None and not _is_number(data[name]):
            raise _FieldError(name, f"wanted a finite number, got {data[name]!r}")
    for name, kinds in (("tokens", (int,)), ("facts", (str, int, float, bool, type(None)))):
        group = data.get(name, {})
        if not isinstance(group, Mapping) or not all(isinstance(v, kinds) for v in group.values()):
            wanted = "whole numbers" if name == "tokens" else "words, numbers or yes/no"
            raise _FieldError(name, f"wanted an object of {wanted}, got {group!r}")
    turns = data.get("context", [])
    if not isinstance(turns, list) or not all(map(_is_turn, turns)):
        raise _FieldError("context", f"wanted a list of turns (text, speaker), got {turns!r}")
    _check_choices(data)


def _check_choices(data: Mapping[str, Any]) -> None:
    choices = data.get("choices")
    if choices is None:
        for name in ("label", "choice", "probabilities", "log_likelihoods"):
            if data.get(name) is not None:
                raise _FieldError(name, "given without 'choices'")
        return
    if not isinstance(choices, list) or not choices or not all(isinstance(c, str) for c in choices):
        raise _FieldError("choices", f"wanted a list of texts, got {choices!r}")
    for name in ("label", "choice"):
        value = data.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < len(choices):
            raise _FieldError(name, f"wanted an index below {len(choices)}, got {value!r}")
    label, target = data.get("label"), data.get("target")
    if label is not None and target is not None and choices[label] != target:
        raise _FieldError("target", f"'{target}' is not choices[{label}] = '{choices[label]}'")
    for name in ("probabilities", "log_likelihoods"):
        value = data.get(name)
        if value is not None and not _is_vector(value, len(choices)):
            raise _FieldError(name, f"wanted {len(choices)} finite numbers, got {value!r}")
    probabilities: Sequence[float] | None = data.get("probabilities")
    if probabilities and (min(probabilities) < 0 or abs(sum(probabilities) - 1) > 1e-3):
        raise _FieldError("probabilities", f"wanted shares that sum to 1, got {probabilities!r}")


def _is_turn(value: object) -> bool:
    if not isinstance(value, Mapping) or not set(value) <= {"text", "speaker"}:
        return False
    return isinstance(value.get("text"), str) and isinstance(value.get("speaker"), str | None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_vector(value: object, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(map(_is_number, value))
