"""Confidence over the number of training clips: before and after temperature scaling.

    answers to the test questions, half of the clips --fit temperature--> the other half, and back

Both halves are then measured as one, so no clip is measured with a temperature that knows it. The
fit is done twice: on a whole half, and on a quarter as many clips as the run was trained on, which
is what somebody with so few labelled clips would set aside. Needs the predictions alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtrans.core.calibration import Calibration, recalibrated
from mtrans.core.errors import SettingsError
from mtrans.core.files import write_text
from mtrans.core.markdown import table
from mtrans.core.records import Prediction, Score
from mtrans.measure.apply import measure
from mtrans.measure.calibration import is_scored
from mtrans.measure.predictions import PredictionsError
from mtrans.measure.rescale import fit
from mtrans.measure.units import shown
from mtrans.study.collect import choose
from mtrans.study.jobs import measurable
from mtrans.study.plan import CLIPS, StudyPlan, Variant, label_of
from mtrans.study.results import pool, read_seeds
from mtrans.train.run_folder import RunFolder

METRICS = ("accuracy", "overconfidence", "ece", "nll", "aurc", "confidence_auroc")
"""What is measured."""

WAYS = ("raw", "few", "half")
"""As the model gives it; fitted on a quarter as many clips as it was trained on; on a half."""

CURVE = "calibration"
"""Stem of the files that are written."""

HEAD = """### confidence

Before and after one temperature, which is fitted on one half of the test clips and measured on the
other, and the reverse: on all of the half, and on a quarter as many clips as were trained on. In
points or percent but for the temperature and -log p; intervals draw whole clips with all seeds.
"""


@dataclass(frozen=True)
class Point:
    """One contender after training on one number of clips, over its seeds.

    Attributes:
        data: The data set.
        contender: Its name, with what is varied beside the clips.
        clips: Training clips.
        seeds: Seeds measured.
        fitted_on: Clips that `few` was fitted on; None where they were too few to fit.
        temperatures: By way the mean temperature over seeds and halves.
        scores: By way, the scores of :data:`METRICS`.
    """

    data: str
    contender: str
    clips: int
    seeds: list[int]
    fitted_on: int | None
    temperatures: dict[str, float]
    scores: dict[str, list[Score]]


def calibration_curve(plan: StudyPlan, folder: Path, *, seed: int = 0) -> list[Point]:
    """Measures what is there of a study; runs nothing.

    Args:
        plan: Any; one that varies ``clips`` gives a curve.
        folder: The study's folder.
        seed: Of the halves, and of the clips that `few` is fitted on.

    Returns:
        One point a row of the study whose answers have likelihoods, by contender and clips.

    Raises:
        SettingsError: No run of the plan is finished.
    """
    points = []
    for variant in plan.variants():
        runs = _runs(plan, variant, folder)
        by_seed = read_seeds(runs)
        by_seed = {s: [p for p in part if is_scored(p)] for s, part in by_seed.items()}
        by_seed = {s: part for s, part in by_seed.items() if part}
        if by_seed:
            points.append(_point(variant, _clips(variant, runs), by_seed, seed))
    if not points:
        raise SettingsError(f"'{folder}' has no finished run with candidates' likelihoods yet")
    return sorted(points, key=lambda p: (p.data, p.contender, p.clips))


def _runs(plan: StudyPlan, variant: Variant, folder: Path) -> dict[int, RunFolder]:
    chosen = choose(plan, variant, folder)[0]
    if chosen is None:
        return {}
    runs = {s: RunFolder(folder / plan.job(variant, chosen, s, folder).name) for s in plan.seeds}
    return {s: run for s, run in runs.items() if measurable(run)}


def _clips(variant: Variant, runs: Mapping[int, RunFolder]) -> int:
    """Returns the training clips of a row: those of its point, or what its runs say."""
    planned = variant.point.get(CLIPS, variant.data.train)
    if isinstance(planned, int):
        return planned
    data = next(iter(runs.values())).info().get("data") or {}
    return int(data.get("train", {}).get("videos", 0))


def _point(
    variant: Variant, clips: int, by_seed: Mapping[int, Sequence[Prediction]], seed: int
) -> Point:
    few = max(1, clips // 4)
    made: dict[str, dict[int, list[Prediction]]] = {way: {} for way in WAYS}
    slopes: dict[str, list[float]] = {way: [] for way in WAYS[1:]}
    half = min(len({p.video or p.id for p in part}) for part in by_seed.values()) // 2
    ways: list[tuple[str, int | None]] = [("half", None)]
    if few < half:
        ways.insert(0, ("few", few))
    for own, part in by_seed.items():
        made["raw"][own] = [recalibrated(p, None) for p in part]
        for way, limit in ways:
            try:
                made[way][own], found = crossed(part, limit, seed)
            except PredictionsError:  # too few questions about so few clips
                continue
            slopes[way] += [c.slope for c in found]
    whole = {way: parts for way, parts in made.items() if len(parts) == len(by_seed)}
    others = {key: value for key, value in variant.point.items() if key != CLIPS}
    return Point(
        data=variant.data.name,
        contender=label_of(variant.contender, others),
        clips=clips,
        seeds=list(by_seed),
        fitted_on=few if "few" in whole else None,
        temperatures={w: _mean([1 / s for s in slopes[w]]) for w in WAYS[1:] if w in whole},
        scores={way: measure(pool(parts), METRICS) for way, parts in whole.items()},
    )


def crossed(
    predictions: Sequence[Prediction], limit: int | None = None, seed: int = 0
) -> tuple[list[Prediction], list[Calibration]]:
    """Calibrates each half of the clips by a temperature fitted on the other.

    Args:
        predictions: Scored answers with known truth.
        limit: Clips of the other half that are fitted on; None takes all.
        seed: Of the draw.

    Returns:
        The predictions with other probabilities, in their order, and the two fits.

    Raises:
        PredictionsError: Too few questions to fit on.
    """
    names = sorted({p.video or p.id for p in predictions})
    random.Random(seed).shuffle(names)
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    fits: dict[str, Calibration] = {}
    for mine, other in (halves, halves[::-1]):
        known = set(other[:limit])
        fitted = fit([p for p in predictions if (p.video or p.id) in known])
        fits |= dict.fromkeys(mine, fitted)
    made = [recalibrated(p, fits[p.video or p.id]) for p in predictions]
    return made, [fits[half[0]] for half in halves]


def write_curve(points: Sequence[Point], place: Path) -> tuple[Path, Path]:
    """Writes ``calibration.json`` and ``calibration.md``; returns their paths."""
    data, table = place / f"{CURVE}.json", place / f"{CURVE}.md"
    document = {"schema": 1, "points": summary(points)}
    write_text(data, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    write_text(table, f"{HEAD}\n{curve_table(points)}")
    return data, table


def curve_table(points: Sequence[Point]) -> str:
    """Returns the curve as a Markdown table; of several data sets with their names."""
    several = len({point.data for point in points}) > 1
    head = [
        *(["data"] if several else []),
        "contender",
        "training clips",
        "accuracy",
        "calibrated on",
        "temperature",
    ]
    head += ["overconfidence", "calibration error", "-log p", "risk-coverage area", "AUROC"]
    rows = []
    for point in points:
        fitted = {"raw": "nothing", "few": f"{point.fitted_on} clips", "half": "half of the test"}
        for way, scores in point.scores.items():
            told = {s.metric: _text(s) for s in scores}
            heat = point.temperatures.get(way)
            cells = [*([point.data] if several else []), point.contender, str(point.clips)]
            cells += [told["accuracy"], fitted[way]]
            cells += ["" if heat is None else f"{heat:.2f}"]
            cells += [told.get(m, "") for m in METRICS[1:]]
            rows.append(cells)
    return "\n".join(table(head, rows)) + "\n"


def _text(score: Score) -> str:
    value = shown(score.metric, score.value)
    if score.low is None or score.high is None:
        return value
    return f"{value} [{shown(score.metric, score.low)}, {shown(score.metric, score.high)}]"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def summary(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Returns points as JSON holds them."""
    return [dict(json.loads(json.dumps(asdict(point)))) for point in points]
