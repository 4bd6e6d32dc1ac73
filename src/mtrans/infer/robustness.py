"""A model under perturbations: one predictions file for each.

Each file is an evaluation of its own that goes on where it was stopped; those that are there are
not made again (:mod:`mtrans.infer.evaluate`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.infer.attack import ATTACKS, Attacked
from mtrans.infer.conditions import Condition, Perturbed
from mtrans.infer.evaluate import evaluate
from mtrans.infer.predictor import Predictor
from mtrans.video.perturb import SEVERITIES, find
from mtrans.video.perturb.registry import checked_names

Step = Callable[[int, int], None]


def plan(
    only: Sequence[str],
    severities: Sequence[int],
    *,
    attack: bool = False,
    seed: int = 0,
    dialogue: bool = True,
) -> list[Condition]:
    """Returns what is tested, in the order in which it is.

    Args:
        only: Names of perturbations or attacks; empty takes all perturbations.
        severities: Of 1 to 5; a perturbation without degrees is tested once.
        attack: Test the attacks as well.
        seed: Of all draws.
        dialogue: Whether any question has a dialogue; without one, and without `only`, what takes
            it away is left out.

    Raises:
        SettingsError: Unknown name or severity.
    """
    for severity in severities:
        if severity not in SEVERITIES:
            raise SettingsError(f"--severities {severity}: wanted numbers from 1 to 5")
    named = [name for name in only if name not in ATTACKS]
    names = checked_names(named) if named or not only else []
    if not only and not dialogue:
        names = [name for name in names if name not in ("no_names", "no_context")]
    made: list[Condition] = []
    for name in names:
        had = find(name).severities
        made += [Perturbed(name, s, seed) for s in (severities if len(had) > 1 else had)]
    attacks = [name for name in ATTACKS if attack or name in only]
    made += [Attacked(name, s, seed) for name in attacks for s in severities]
    return made


def choose(
    samples: Sequence[Sample], limit: int | None, seed: int = 0, *, clips: int | None = None
) -> list[Sample]:
    """Returns the questions about randomly drawn clips, whole clips until a limit is reached.

    Args:
        samples: All questions.
        limit: About how many questions; None takes all.
        seed: Of the draw.
        clips: How many clips; None takes all.
    """
    if (limit is None or limit >= len(samples)) and clips is None:
        return list(samples)
    asked: dict[Any, list[Sample]] = {}
    for sample in samples:
        asked.setdefault((sample.video, sample.start, sample.end), []).append(sample)
    parts = list(asked.values())
    random.Random(seed).shuffle(parts)
    chosen: set[str] = set()
    for part in parts[:clips]:
        if limit is not None and len(chosen) >= limit:
            break
        chosen |= {sample.id for sample in part}
    return [sample for sample in samples if sample.id in chosen]


def run_robustness(
    predictor: Predictor,
    samples: Sequence[Sample],
    folder: Path,
    conditions: Sequence[Condition],
    *,
    batch_size: int = 32,
    overwrite: bool = False,
    progress: Step | None = None,
) -> None:
    """Answers the questions as they are and under every condition.

    Writes ``clean.jsonl`` and ``<name>-<severity>.jsonl``, which `mtrans.measure.robustness` reads.

    Args:
        predictor: The model.
        samples: The questions.
        folder: Where predictions go.
        conditions: What is tested.
        batch_size: Questions answered together.
        overwrite: Replace predictions of another model, other data or another seed.
        progress: Called with (done, total) after each condition.

    Raises:
        CheckpointError: The folder holds results of another model, other data or another seed.
    """
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "overwrite": overwrite,
        "progress": False,
    }
    total = len(conditions) + 1
    evaluate(predictor, samples, folder / "clean.jsonl", **options)
    for done, condition in enumerate(conditions, 1):
        if progress is not None:
            progress(done, total)
        about = condition.to_json()
        path = folder / f"{about['name']}-{about['severity']}.jsonl"
        evaluate(predictor, samples, path, condition=condition, **options)
    if progress is not None:
        progress(total, total)
