"""What a prepared data set holds and what it was made from: the content of ``prepared.json``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mtrans
from mtrans.core.files import file_hash
from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request
from mtrans.data.check import summarise_types

MOST_ANSWERS = 20
"""Answers listed for a question type; open questions have thousands."""


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds.

    Attributes:
        samples: Questions.
        videos: Distinct clips' files.
        groups: Distinct groups.
        speakers: Distinct speakers.
        missing: Samples whose clip is not there.
        types: Question type -> samples, answers (commonest first), majority, chance.
    """

    samples: int
    videos: int
    groups: int
    speakers: int
    missing: int
    types: dict[str, dict[str, Any]]


def find_missing(samples: Iterable[Sample]) -> dict[str, list[str]]:
    """Returns the clips that are not there, each with the ids of its samples."""
    there: dict[str, bool] = {}
    missing: dict[str, list[str]] = {}
    for sample in samples:
        video = sample.video
        if video is None:
            continue
        if video not in there:
            there[video] = os.path.isabs(video) and os.path.exists(video)
        if not there[video]:
            missing.setdefault(video, []).append(sample.id)
    return missing


def summarise(samples: Sequence[Sample], missing: Mapping[str, Sequence[str]]) -> SplitSummary:
    """Counts what a split holds."""
    types = {}
    for name, kind in summarise_types(samples).items():
        found = asdict(kind)
        answers = list(found["answers"].items())
        found["answers"] = dict(answers[:MOST_ANSWERS])
        found["different_answers"] = len(answers)
        types[name] = found
    return SplitSummary(
        samples=len(samples),
        videos=len({s.video for s in samples} - {None}),
        groups=len({s.group for s in samples} - {None}),
        speakers=len({s.speaker for s in samples} - {None}),
        missing=sum(s.video in missing for s in samples),
        types=types,
    )


def describe(
    adapter: Adapter, request: Request, read: Prepared, annotations: Path, videos: Path | None
) -> dict[str, Any]:
    """Returns what ``prepared.json`` says of a set, a request, and the files that were read."""
    return {
        "name": adapter.name,
        "title": adapter.title,
        "adapter_version": adapter.version,
        "mtrans": mtrans.__version__,
        "citation": adapter.citation,
        "licence": adapter.licence,
        "source": adapter.source,
        "scheme": request.scheme,
        "scheme_about": adapter.schemes[request.scheme].about,
        "folds": adapter.schemes[request.scheme].folds,
        "published": dict(adapter.schemes[request.scheme].sizes),
        "options": dict(request.options),
        "seed": request.seed,
        "metrics": list(adapter.metrics),
        "settings": dict(adapter.settings),
        "questions": {q.name: q.version for q in adapter.questions},
        "annotations": [
            {
                "file": os.path.relpath(file, annotations if annotations.is_dir() else file.parent),
                "bytes": file.stat().st_size,
                "sha256": file_hash(file),
            }
            for file in read.files
        ],
        "videos": None if videos is None else os.path.abspath(videos),
        "notes": list(read.notes),
    }
