"""Samples -> a file of a fine-tuning tool, checked by reading it back.

``messages`` is the form of ms-swift and LLaMA-Factory, ``sharegpt`` the one with ``conversations``
(``from`` / ``value``) and a ``system`` column. A dialogue that was read as several samples is
written as one record again; context that is no dialogue stands in the text before the question.

Not kept of a file that was read: columns of other tools, where in a text ``<video>`` stood (it is
written first), and white space around texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from mtrans.core.errors import ManifestError
from mtrans.core.files import make_folder, write_text
from mtrans.core.records import Sample
from mtrans.data.fields import FieldError
from mtrans.data.messages import (
    COLUMNS,
    PLACEHOLDER,
    messages_from_sample,
    samples_from_messages,
)

Form = Literal["messages", "sharegpt"]

_ROLES = ("user", "assistant", "system")
_SHAREGPT = {"user": "human", "assistant": "gpt"}


def records_from_samples(
    samples: Sequence[Sample], form: Form = "messages"
) -> list[dict[str, Any]]:
    """Converts samples to records that read back to the same samples.

    Args:
        samples: Valid samples.
        form: Which of the two forms.

    Returns:
        The records; fewer than samples where samples are the turns of one dialogue.

    Raises:
        ManifestError: A sample that the form can't hold, a ``<video>`` in its text for instance.
    """
    records = []
    place = 0
    while place < len(samples):
        record, used = _record(samples, place, form)
        records.append(record)
        place += used
    return records


def write_messages(path: str | Path, samples: Sequence[Sample], form: Form = "messages") -> int:
    """Writes a JSONL file of records, whole or not at all.

    Args:
        path: The file; its folder is made.
        samples: Valid samples.
        form: Which of the two forms.

    Returns:
        The number of records.

    Raises:
        ManifestError: A sample that the form can't hold, or the file can't be written.
    """
    path = Path(path)
    records = records_from_samples(samples, form)
    try:
        make_folder(path.parent)
        write_text(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))
    except OSError as error:
        raise ManifestError(f"'{path}' can't be written: {error.strerror}") from error
    return len(records)


def _record(samples: Sequence[Sample], place: int, form: Form) -> tuple[dict[str, Any], int]:
    """Returns the record that begins with a sample, and how many samples it holds."""
    first = samples[place]
    longest = 1
    while place + longest < len(samples) and samples[place + longest].id == f"{first.id}.{longest}":
        longest += 1
    for used in range(longest, 0, -1):
        some = samples[place : place + used]
        if used > 1 or some[-1].context:
            dialogue = _dialogue(some)
            if dialogue is not None and _holds(record := _shape(dialogue, form), some):
                return record, used
    record = _shape(messages_from_sample(first), form)
    if not _holds(record, [first]):
        raise ManifestError(
            f"sample '{first.id}' can't be written as {form}: its text would be read differently"
            f" (a '{PLACEHOLDER}' in it, or nothing but white space); change it, or keep the"
            " manifest"
        )
    return record, 1


def _dialogue(some: Sequence[Sample]) -> dict[str, Any] | None:
    """Returns the turns before the last sample and its own as one record; None if they are none."""
    last = some[-1]
    if not all(turn.speaker in _ROLES for turn in last.context):
        return None
    turns = [{"role": str(t.speaker), "content": t.text} for t in last.context]
    turns.append({"role": "user", "content": last.question})
    if last.video is not None:
        asked = next(turn for turn in turns if turn["role"] == "user")
        asked["content"] = PLACEHOLDER + asked["content"]
    if last.answer is not None:
        turns.append({"role": "assistant", "content": last.answer})
    columns = {k: v for k, v in some[0].to_json().items() if k in COLUMNS and k != "context"}
    return {"messages": turns, **({"videos": [last.video]} if last.video else {}), **columns}


def _shape(record: dict[str, Any], form: Form) -> dict[str, Any]:
    if form == "messages":
        return record
    turns = [(t["role"], t["content"]) for t in record["messages"]]
    system = {"system": turns.pop(0)[1]} if turns[0][0] == "system" else {}
    said = [{"from": _SHAREGPT.get(role, role), "value": text} for role, text in turns]
    rest = {k: v for k, v in record.items() if k != "messages"}
    return {"conversations": said, **system, **rest}


def _holds(record: dict[str, Any], some: Sequence[Sample]) -> bool:
    """Whether a record, once it has been through JSON, reads back to the samples."""
    try:
        back = samples_from_messages(json.loads(json.dumps(record)), "x")
    except FieldError:
        return False
    return [_plain(s) for s in back] == [_plain(s) for s in some]


def _plain(sample: Sample) -> Sample:
    answer = sample.answer.strip() if sample.answer is not None else None
    return replace(sample, question=sample.question.strip(), answer=answer)
