"""Manifest: a JSONL file, one :class:`~mtrans.core.records.Sample` a line.

    {"id": "a", "video": "a.mp4", "question": "where?", "choices": ["left", "right"], "label": 0}

`scan_manifest` reads everything and lists every problem (what ``mtrans data check`` shows);
`read_manifest` raises on the first one. Files in the ``messages`` + ``videos`` form of fine-tuning
tools are noticed and converted (see :mod:`mtrans.data.messages`). Needs no torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrans.core.errors import ManifestError
from mtrans.core.files import make_folder, write_text
from mtrans.core.records import Sample
from mtrans.data.fields import FieldError, kind_of, sample_from_json
from mtrans.data.messages import is_messages, samples_from_messages


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
        text = f"{place}: {self.field}: {self.reason}" if self.field else f"{place}: {self.reason}"
        return " ".join(text.split())


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
    path = Path(path)
    samples: list[Sample] = []
    lines: list[int] = []
    problems: list[Problem] = []
    first_use: dict[str, int] = {}
    form = ""
    for number, record in _records(path):
        try:
            if isinstance(record, FieldError):
                raise record
            if not form:  # the first record decides for the file
                form = "messages" if is_messages(record) else "manifest"
            if form == "messages":
                found = samples_from_messages(record, f"{path.stem}-{number:05d}")
            else:
                found = [sample_from_json(record)]
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
    return Scan(samples, lines, problems, form or "manifest")


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
    try:
        make_folder(path.parent)
        write_text(path, "".join(t + "\n" for t in texts))
    except OSError as error:
        raise ManifestError(f"{path}: can't be written: {error.strerror}") from error


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
    return FieldError("", f"{kind_of(item)}; wanted a JSON object")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise FieldError(twin, "given twice in one object")
    return record
