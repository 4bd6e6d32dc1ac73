"""What people give as data -> a list of samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtrans.core.errors import ManifestError
from mtrans.core.records import Sample
from mtrans.data.manifest import read_manifest


def as_samples(data: str | Path | Sequence[Sample]) -> list[Sample]:
    """Returns samples from a manifest's path, or a list of samples as it is.

    Args:
        data: A manifest, a ``messages`` + ``videos`` file, or samples.

    Returns:
        The samples.

    Raises:
        ManifestError: The file can't be read, a line is not a sample, or something else came.
    """
    if isinstance(data, str | Path):
        if Path(data).is_dir():
            raise ManifestError(
                f"'{data}' is a folder; give the manifest in it, e.g. {Path(data) / 'train.jsonl'}"
            )
        return read_manifest(data)
    samples = list(data)
    for i, sample in enumerate(samples):
        if not isinstance(sample, Sample):
            raise ManifestError(
                f"item {i} of the data is a {type(sample).__name__}; wanted mtrans Sample records"
                " or the path of a manifest"
            )
    return samples
