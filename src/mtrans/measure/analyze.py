"""``predictions.jsonl`` -> ``analysis.json``: what a model is good at, where it fails, and when.

Each part is a function of the predictions alone, with what it says in plain sentences
(:mod:`mtrans.measure.sayings`). A part that the data can't give says why instead. Parts that are
not asked for stay in the file as they are, as long as it is about the same predictions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrans.core.calibration import Calibration
from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.files import file_hash, write_text
from mtrans.core.records import Prediction
from mtrans.measure import sayings
from mtrans.measure.bias import bias
from mtrans.measure.calibration import is_scored
from mtrans.measure.directions import directions
from mtrans.measure.intervals import LEVEL, RESAMPLES
from mtrans.measure.lengths import with_lengths
from mtrans.measure.mistakes import by_construct, known_choices, mistakes
from mtrans.measure.modality import modality
from mtrans.measure.perception import perception
from mtrans.measure.predictions import PredictionsError, beside
from mtrans.measure.trust import trust
from mtrans.measure.worst import worst_parts

SCHEMA = 1
"""Version of the layout of ``analysis.json``."""


@dataclass(frozen=True)
class Inputs:
    """What an analysis may look at.

    Attributes:
        predictions: Of the run.
        calibration: What was fitted for the run, where it was.
        columns: Columns whose groups are compared; empty takes all that fit.
        text_only: Predictions of a model that was given the text alone.
        vision_only: Predictions of a model that was given the pictures alone.
        stills: Answers to still-image questions about the same clips.
        image_stills: Those of the image model that was adapted.
        resamples: Bootstrap replicates.
        seed: Seed of all draws.
    """

    predictions: Sequence[Prediction]
    calibration: Calibration | None = None
    columns: Sequence[str] = ()
    text_only: Sequence[Prediction] | None = None
    vision_only: Sequence[Prediction] | None = None
    stills: Sequence[Prediction] | None = None
    image_stills: Sequence[Prediction] | None = None
    resamples: int = RESAMPLES
    seed: int = 0

    @property
    def draws(self) -> dict[str, Any]:
        """Replicates and seed, as keywords."""
        return {"resamples": self.resamples, "seed": self.seed}


class _NothingToSay(Exception):
    """Why a part can't be given."""


def _mistakes(inputs: Inputs) -> dict[str, Any]:
    _need_choices(inputs)
    return mistakes(inputs.predictions, **inputs.draws)


def _worst(inputs: Inputs) -> dict[str, Any]:
    _need_choices(inputs)
    return worst_parts(with_lengths(inputs.predictions), **inputs.draws)


def _directions(inputs: Inputs) -> dict[str, Any]:
    found = directions(inputs.predictions, **inputs.draws)
    if found is None:
        raise _NothingToSay("fewer than 20 questions ask for left, right, up or down")
    return found


def _calibration(inputs: Inputs) -> dict[str, Any]:
    _need_choices(inputs)
    if not any(is_scored(p) for p in inputs.predictions):
        raise _NothingToSay("no answer has probabilities of its candidates")
    return trust(inputs.predictions, inputs.calibration, **inputs.draws)


def _bias(inputs: Inputs) -> dict[str, Any]:
    _need_choices(inputs)
    found = bias(inputs.predictions, inputs.columns, **inputs.draws)
    if not found["columns"]:
        raise _NothingToSay(
            "no speaker, group or fact has 2 to 24 words as values; name a column with --column"
        )
    return found


def _constructs(inputs: Inputs) -> dict[str, Any]:
    rows = by_construct(inputs.predictions, **inputs.draws)
    if not rows:
        raise _NothingToSay(
            "no question has a dialogue; predictions made by an older mtrans have none, so answer"
            " again with `mtrans eval --overwrite`"
        )
    return {"rows": rows}


def _modality(inputs: Inputs) -> dict[str, Any]:
    if inputs.text_only is None:
        raise _NothingToSay(
            "give the predictions of a run with --baseline text: --text-only RUN; and for what the"
            " dialogue adds those of a run without it (--set model.qformer_text=question --set"
            " model.llm_text=question): --vision-only RUN"
        )
    return modality(inputs.predictions, inputs.text_only, inputs.vision_only, **inputs.draws)


def _perception(inputs: Inputs) -> dict[str, Any]:
    if inputs.stills is None:
        raise _NothingToSay(
            "needs the model: `mtrans analyze RUN --only perception` asks it about the objects of"
            " the clips"
        )
    return perception(inputs.predictions, inputs.stills, inputs.image_stills, **inputs.draws)


PARTS: dict[str, tuple[Callable[[Inputs], dict[str, Any]], Callable[[Any], list[str]]]] = {
    "mistakes": (_mistakes, sayings.of_mistakes),
    "worst": (_worst, sayings.of_worst),
    "directions": (_directions, sayings.of_directions),
    "constructs": (_constructs, sayings.of_constructs),
    "modality": (_modality, sayings.of_modality),
    "perception": (_perception, sayings.of_perception),
    "calibration": (_calibration, sayings.of_calibration),
    "bias": (_bias, sayings.of_bias),
}
"""Name of a part -> what measures it, and what puts it into words."""


def analyze(
    path: str | Path,
    inputs: Inputs,
    only: Sequence[str] = (),
    *,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Analyses a predictions file and writes the analysis beside it.

    Args:
        path: The file `inputs.predictions` come from.
        inputs: What to look at.
        only: Parts; empty makes all.
        out: Where to write; None is ``analysis.json`` beside ``predictions.jsonl``, and the file's
            own name otherwise (:func:`analysis_path`).

    Returns:
        The whole document: ``parts`` by name, each with ``says``, or with ``missing``.

    Raises:
        SettingsError: Unknown part.
        PredictionsError: A column is known of no prediction, or the file can't be written.
    """
    for name in only:
        if name not in PARTS:
            raise SettingsError(f"unknown part '{name}'{did_you_mean(name, PARTS)}")
    path = Path(path)
    target = Path(out) if out is not None else analysis_path(path)
    kept = read_analysis(target, path) or {}
    parts = dict(kept.get("parts", {}))
    for name in only or PARTS:
        made = _make(name, inputs)
        # what needs more than the predictions is not lost because it was not given this time
        if "missing" not in made or name in only or "missing" in parts.get(name, {"missing": ""}):
            parts[name] = made
    document = {
        "schema": SCHEMA,
        "predictions": path.name,
        "sha256": file_hash(path),
        "n": len(inputs.predictions),
        "interval": {
            "method": "percentile bootstrap over videos",
            "level": LEVEL,
            "resamples": inputs.resamples,
            "seed": inputs.seed,
        },
        "parts": {name: parts[name] for name in PARTS if name in parts},
    }
    try:
        write_text(target, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise PredictionsError(f"analysis '{target}' can't be written: {error.strerror}") from error
    return document


def read_analysis(path: Path, predictions: Path) -> dict[str, Any] | None:
    """Reads an analysis; None where there is none of these predictions and this version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        same = document["schema"] == SCHEMA and document["sha256"] == file_hash(predictions)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is made again
    return dict(document) if same else None


def analysis_path(predictions: Path) -> Path:
    """Returns where the analysis of a predictions file is kept."""
    return beside(predictions, "analysis")


def _make(name: str, inputs: Inputs) -> dict[str, Any]:
    measure, say = PARTS[name]
    try:
        found = measure(inputs)
    except _NothingToSay as reason:
        return {"missing": str(reason)}
    return {"says": say(found), **found}


def _need_choices(inputs: Inputs) -> None:
    if not known_choices(inputs.predictions):
        raise _NothingToSay("no multiple-choice question with a known right answer")
