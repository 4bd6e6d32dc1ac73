"""Manifest: a JSONL file, one :class:`~mtrans.core.records.Sample` a line.

    {"id": "a", "video": "a.mp4", "question": "where?", "choices": ["left", "right"], "label": 0}

`scan_manifest` reads everything and lists every problem (what ``mtrans data check`` shows);
`read_manifest` raises on the first one. Files in the ``messages`` + ``videos`` form of fine-tuning
tools are noticed and converted (see :mod:`mtrans.data.messages`). Needs no torch.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mtrans.core.errors import ManifestError, did_you_mean
from mtrans.core.records import Fact, Sample, Turn

FIELDS = tuple(f.name for f in fields(Sample))


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a manifest.

    Attributes:
        file: The manifest.
        line: Line in it, counted from 1 (for a JSON array: the item); 0 is the file as a whole.
        field: The field at fault; empty where it is the whole line.
        reason: What came, what was wanted.
        severity: ``error`` stops a run; ``warning`` is worth a look.
    """

    file: str
    line: int
    field: str
    reason: str
    severity: str = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.reason}" if self.field else f"{place}: {self.reason}"


class FieldError(ManifestError):
    """A field has a wrong value; the reader adds file and line.

    Args:
        field: The field's name.
        reason: What came, what was wanted.
    """

    def __init__(self, field: str, reason: str):
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field, self.reason = field, reason


@dataclass(frozen=True)
class Scan:
    """All that a manifest file holds.

    Attributes:
        samples: The valid samples, in file order.
        lines: The line of each sample.
        problems: Everything wrong, in file order.
        form: ``manifest`` or ``messages``.
    """

    samples: list[Sample]
    lines: list[int]
    problems: list[Problem]
    form: str


def read_manifest(path: str | Path, *, video_folder: str | Path | None = None) -> list[Sample]:
    """Reads a manifest, or a ``messages`` + ``videos`` file, into samples.

    Args:
        path: The JSONL file (a JSON array is read too).
        video_folder: Where the videos are, if not where the manifest says: each one is looked up
            there by its file name alone.

    Returns:
        The samples in file order, with absolute video paths.

    Raises:
        ManifestError: The file can't be read, or a line is not a valid sample.
    """
    scan = scan_manifest(path, video_folder=video_folder)
    if scan.problems:
        more = len(scan.problems) - 1
        rest = f" ({more} more: `mtrans data check {path}` lists all)" if more else ""
        raise ManifestError(f"{scan.problems[0]}{rest}")
    return scan.samples


def scan_manifest(path: str | Path, *, video_folder: str | Path | None = None) -> Scan:
    """Reads a manifest and lists everything wrong in it, instead of stopping at the first problem.

    Args:
        path: The file.
        video_folder: As for :func:`read_manifest`.

    Returns:
        Samples and problems.

    Raises:
        ManifestError: The file itself can't be read.
    """
    from mtrans.data.messages import is_messages, samples_from_messages

    path = Path(path)
    samples: list[Sample] = []
    lines: list[int] = []
    problems: list[Problem] = []
    first_use: dict[str, int] = {}
    convert: Callable[[Mapping[str, Any], int], list[Sample]] | None = None
    form = "manifest"
    for number, record in _records(path):
        try:
            if isinstance(record, FieldError):
                raise record
            if convert is None:  # the first record decides for the file
                form = "messages" if is_messages(record) else "manifest"
                convert = _converter(form, path, samples_from_messages)
            found = convert(record, number)
        except FieldError as error:
            problems.append(Problem(str(path), number, error.field, error.reason))
            continue
        for sample in found:
            if sample.id in first_use:
                reason = f"'{sample.id}' is already used in line {first_use[sample.id]}"
                problems.append(Problem(str(path), number, "id", reason))
                continue
            first_use[sample.id] = number
            samples.append(_resolve(sample, path, video_folder))
            lines.append(number)
    if not samples and not problems:
        problems.append(Problem(str(path), 0, "", "no samples; wanted one JSON object a line"))
    return Scan(samples, lines, problems, form)


def write_manifest(path: str | Path, samples: Iterable[Sample]) -> None:
    """Writes samples as a manifest; videos below its folder are written relative to it.

    The file appears whole or not at all.

    Args:
        path: The file to write; its folder is made.
        samples: What to write.

    Raises:
        ManifestError: A sample is not valid, or the file can't be written.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)
    texts = []
    seen: set[str] = set()
    for number, sample in enumerate(samples, 1):
        record = sample.to_json()
        try:
            sample_from_json(record)
            if sample.id in seen:
                raise FieldError("id", f"'{sample.id}' is used twice")
        except FieldError as error:
            raise ManifestError(
                str(Problem(str(path), number, error.field, error.reason))
            ) from None
        seen.add(sample.id)
        if sample.video is not None and os.path.isabs(sample.video):
            relative = os.path.relpath(sample.video, folder)
            if relative.split(os.sep, 1)[0] != os.pardir:
                record["video"] = Path(relative).as_posix()
        texts.append(json.dumps(record, ensure_ascii=False, allow_nan=False))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text("".join(t + "\n" for t in texts), encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    except OSError as error:
        raise ManifestError(f"{path}: can't be written: {error.strerror}") from error


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


def _converter(
    form: str, path: Path, from_messages: Callable[..., list[Sample]]
) -> Callable[..., Any]:
    if form == "messages":
        return lambda record, number: from_messages(record, f"{path.stem}-{number:05d}")
    return lambda record, number: [sample_from_json(record)]


def _resolve(sample: Sample, path: Path, video_folder: str | Path | None) -> Sample:
    if sample.video is None:
        return sample
    if video_folder is not None:
        video = os.path.join(video_folder, sample.video.replace("\\", "/").rsplit("/", 1)[-1])
    else:
        video = os.path.join(path.parent, sample.video)
    return Sample(**{**vars(sample), "video": os.path.abspath(video)})


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any] | FieldError]]:
    """Yields (line number, object or what is wrong with the line); blank lines are passed over."""
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ManifestError(f"{path}: can't be read: {error.strerror}") from error
    if data.lstrip().startswith(b"["):  # a JSON array, as LLaMA-Factory ships its examples
        try:
            items = json.loads(data, object_pairs_hook=_no_twins)
        except (ValueError, FieldError) as error:
            raise ManifestError(
                f"{path}: begins like a JSON array, but is not JSON: {error}"
            ) from error
        yield from ((n, _object(item)) for n, item in enumerate(items, 1))
        return
    for number, line in enumerate(data.split(b"\n"), 1):  # not splitlines: U+2028 may be in a text
        if not line.strip():
            continue
        try:
            yield number, _object(json.loads(line.decode("utf-8"), object_pairs_hook=_no_twins))
        except FieldError as error:
            yield number, error
        except UnicodeDecodeError as error:
            yield number, FieldError("", f"not UTF-8 at byte {error.start}; save the file as UTF-8")
        except (ValueError, RecursionError) as error:
            yield number, FieldError("", f"not JSON: {error}; wanted one JSON object a line")


def _object(item: Any) -> dict[str, Any] | FieldError:
    if isinstance(item, dict):
        return item
    return FieldError("", f"{_kind(item)}; wanted a JSON object")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise FieldError(twin, "given twice in one object")
    return record


def _kind(value: Any) -> str:
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
        raise FieldError(name, f"{_kind(value)}; wanted text")
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
        raise FieldError(name, f"{_kind(value)}; wanted seconds as a number")
    if not math.isfinite(value) or value < 0:
        raise FieldError(name, f"{value}; wanted seconds from the file's beginning, 0 or more")
    return float(value)


def _choices(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        value = list(value)
    if not isinstance(value, list):
        raise FieldError("choices", f"{_kind(value)}; wanted a list of texts")
    if len(value) < 2:
        raise FieldError(
            "choices", f"{len(value)} given; wanted at least two, or leave the field out"
        )
    for place, choice in enumerate(value):
        if not isinstance(choice, str) or not choice.strip():
            raise FieldError("choices", f"item {place} is {_kind(choice)}; wanted non-empty text")
        if choice in value[:place]:
            raise FieldError("choices", f"'{choice}' is given twice; candidates must differ")
    return tuple(value)


def _answer(
    answer: str | None, choices: tuple[str, ...] | None, label: Any
) -> tuple[str | None, int | None]:
    if label is not None and (isinstance(label, bool) or not isinstance(label, int)):
        raise FieldError("label", f"{_kind(label)}; wanted the index of the right choice, from 0")
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
    turns = [value] if isinstance(value, str) else value
    if not isinstance(turns, list | tuple):
        raise FieldError("context", f"{_kind(value)}; wanted a list of turns with text and speaker")
    return tuple(_turn(turn, place) for place, turn in enumerate(turns))


def _turn(turn: Any, place: int) -> Turn:
    if isinstance(turn, str):
        turn = {"text": turn}
    if not isinstance(turn, dict):
        raise FieldError("context", f"turn {place} is {_kind(turn)}; wanted text and speaker")
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
        raise FieldError("facts", f"{_kind(value)}; wanted an object of names and values")
    for name, fact in value.items():
        number = isinstance(fact, float) and not math.isfinite(fact)
        if number or not isinstance(fact, str | int | float | bool | None):
            raise FieldError(
                "facts", f"'{name}' is {_kind(fact)}; wanted text, a finite number, true or false"
            )
    return dict(value)
