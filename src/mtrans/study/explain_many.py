"""The maps of many clips, each held against random: one line a clip, resumable."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import CheckpointError
from mtrans.core.files import append_jsonl, make_folder, read_jsonl
from mtrans.core.records import Sample
from mtrans.data.clips import clips_of
from mtrans.infer.explain import explain
from mtrans.infer.predictor import Predictor
from mtrans.measure.faith import FAITHFULNESS, write_faith

MAPS = "maps.jsonl"
"""Name of the lines."""


def drawn(samples: Sequence[Sample], clips: int, seed: int = 0) -> list[Sample]:
    """Returns one question about each of some clips, both drawn at random.

    Args:
        samples: All questions.
        clips: How many clips; fewer where there are fewer.
        seed: Of the draws.
    """
    rng = random.Random(seed)
    parts = list(clips_of(samples).values())
    rng.shuffle(parts)
    return [rng.choice(part) for part in parts[:clips]]


def explain_many(
    predictor: Predictor,
    samples: Sequence[Sample],
    folder: Path,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Judges the maps of each question and writes the lines and ``faithfulness.json``.

    Args:
        predictor: The model.
        samples: The questions, each about a clip of its own.
        folder: Where to; what lies there of the same model is not made again.
        seed: Of the random orders.
        progress: Called with (done, total).

    Returns:
        What :func:`mtrans.measure.faith.faith` counts.

    Raises:
        CheckpointError: The folder holds lines of another model or another seed.
    """
    make_folder(folder)
    path = folder / MAPS
    mark = {"weights": predictor.backbone.identity, "run": _run(predictor), "seed": seed}
    lines = read_jsonl(path)
    if any(line["of"] != mark for line in lines):
        raise CheckpointError(
            f"'{path}' holds maps of another model, training or seed; remove it, or give --out"
        )
    done = {line["id"]: line for line in lines}
    for count, sample in enumerate(samples):
        if progress is not None:
            progress(count, len(samples))
        if sample.id not in done:
            done[sample.id] = {"id": sample.id, "of": mark, **_line(predictor, sample, seed)}
            append_jsonl(path, [done[sample.id]])
    if progress is not None:
        progress(len(samples), len(samples))
    return write_faith([done[s.id] for s in samples], folder / FAITHFULNESS)


def _line(predictor: Predictor, sample: Sample, seed: int) -> dict[str, Any]:
    found = explain(predictor, sample, seed=seed)
    kept = ("area", "random_area", "p", "better")
    maps = {
        m.name: {curve: {k: m.faith[curve][k] for k in kept} for curve in ("deletion", "insertion")}
        for m in found.maps
    }
    return {
        "answer": found.prediction.answer,
        "right": sample.answer,
        "score": found.score,
        "maps": maps,
        "frames": found.frames.tolist(),
    }


def _run(predictor: Predictor) -> str | None:
    """Returns when the run was finished: another training of it has other maps."""
    return None if predictor.run is None else predictor.run.info().get("finished")
