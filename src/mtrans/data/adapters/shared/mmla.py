"""The JSONL files of the MMLA benchmark: utterance, label, name of the clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mtrans.core.errors import DatasetError
from mtrans.data.manifest import read_manifest


class MmlaLine(NamedTuple):
    """One line."""

    clip: str
    """The clip's file name without suffix and without the data set's prefix."""

    said: str
    """The utterance."""

    label: str
    """Its label, as written."""


def read_mmla(path: Path, prefix: str, labels: tuple[str, ...]) -> Iterator[MmlaLine]:
    """Yields the lines of one file.

    Args:
        path: ``train.jsonl``, ``dev.jsonl`` or ``test.jsonl``.
        prefix: What the clip's name starts with: ``MUStARD_``.
        labels: The labels that belong to this data set.

    Raises:
        ManifestError: A line is not in the form.
        DatasetError: A line belongs to another data set.
    """
    for sample in read_manifest(path):
        name = Path(sample.video or "").stem
        if sample.answer not in labels or not sample.context or not name.startswith(prefix):
            raise DatasetError(
                f"{path}: '{name}' with label '{sample.answer}'; wanted {prefix}ID with"
                f" {' or '.join(labels)}: is it another data set's file?"
            )
        yield MmlaLine(name.removeprefix(prefix), sample.context[-1].text, sample.answer)
