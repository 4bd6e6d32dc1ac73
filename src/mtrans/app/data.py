"""What people give as data, as a model or as a place for predictions, checked."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from mtrans.app.sizes import PUBLISHED
from mtrans.core.errors import CheckpointError, ManifestError, did_you_mean
from mtrans.core.records import Sample
from mtrans.data.fields import FieldError, sample_from_json
from mtrans.data.manifest import read_manifest


def check_model(name: str | Path) -> None:
    """Finds a mistyped name before it is looked for among published checkpoints.

    Args:
        name: What was given as a model.

    Raises:
        CheckpointError: It is meant as a folder, because its parent is one, and is not there; or
            it is neither a folder nor of the form ``owner/name``.
    """
    path = Path(name)
    if path.exists() or str(name) == "tiny":
        return
    if len(path.parts) < 2:
        here = sorted(p.name for p in Path.cwd().iterdir() if p.is_dir())
        near = difflib.get_close_matches(str(name), ["tiny", *PUBLISHED, *here], n=1)
        raise CheckpointError(
            f"there is no model '{name}': no folder here, and published ones are written owner/name"
            + (f"; did you mean '{near[0]}'?" if near else f"; known: tiny, {', '.join(PUBLISHED)}")
        )
    if path.is_absolute() or path.parent.is_dir():
        near = [str(p) for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise CheckpointError(f"there is no folder '{name}'{did_you_mean(str(path), near)}")


def as_samples(data: str | Path | Sequence[Sample]) -> list[Sample]:
    """Returns samples from a manifest's path, or a list of samples as it is.

    Args:
        data: A manifest, a ``messages`` + ``videos`` file, or samples.

    Returns:
        The samples; of `answer` and `label` the one that is missing is filled in, as in a manifest.

    Raises:
        ManifestError: The file can't be read, a line or a record is no sample, or something else
            came.
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
        try:
            samples[i] = sample_from_json(sample.to_json())
        except FieldError as error:
            raise ManifestError(f"item {i} of the data: {error}") from error
    return samples


def has_answers(samples: Sequence[Sample]) -> bool:
    """Whether a right answer is known of any sample, so that there is something to score."""
    return any(s.answer is not None or s.label is not None for s in samples)


def predictions_file(out: str | Path | None) -> Path | None:
    """Returns the predictions' file that `out` means: itself, or the usual name in a folder."""
    if out is None:
        return None
    path = Path(out)
    return path if path.suffix == ".jsonl" and not path.is_dir() else path / "predictions.jsonl"


def predictions_of(run: Path) -> Path:
    """Returns the predictions' file that a run folder or a file means.

    Raises:
        PredictionsError: The folder has none.
    """
    from mtrans.measure.predictions import PredictionsError

    if not run.is_dir():
        return run
    names = ("predictions.jsonl", "predictions_test.jsonl")
    found = next((run / name for name in names if (run / name).is_file()), None)
    if found is None:
        raise PredictionsError(
            f"'{run}' has no predictions.jsonl; run `mtrans eval {run} --data TEST.jsonl` first"
        )
    return found
