"""How a training step's time and memory grow with frames, text and batch.

Each point is a model of its own in a fresh process (:mod:`.apart`), with features as from the
cache. Growth is a straight line through the logarithms: time = a T^b, and b is printed with its
standard error. Few frames cost little more than none, so b over all points is flattered by the
fixed cost of a step; the slope between the last two points is printed beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.bench.apart import run_apart
from mtrans.bench.side_by_side import write_result
from mtrans.bench.step import Measured, StepCase, measure_step
from mtrans.measure.cost import flops

FRAMES = (4, 8, 16, 32, 64, 128, 256)
TEXTS = (8, 16, 32, 64, 128)
BATCHES = (1, 2, 4, 8, 16, 32)
QUICK = {"frames": (4, 16, 64), "text": (16, 64), "batch": (1, 4)}
GOAL = 1.05


@dataclass(frozen=True)
class Growth:
    """A power law through points.

    Attributes:
        exponent: b of y = a x^b, by least squares on logarithms.
        error: Its standard error; NaN of two points.
        last: The exponent between the last two points.
    """

    exponent: float
    error: float
    last: float

    def __str__(self) -> str:
        error = "" if np.isnan(self.error) else f" ± {self.error:.2f}"
        return f"{self.exponent:.2f}{error} (last two points {self.last:.2f})"


def growth(x: Sequence[float], y: Sequence[float]) -> Growth:
    """Fits a power law.

    Args:
        x: At least two numbers above 0, rising.
        y: As many, above 0.

    Returns:
        The exponent with its standard error.
    """
    a, b = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    middle = a - a.mean()
    slope = float(middle @ b / (middle @ middle))
    left = b - b.mean() - slope * middle
    error = float("nan")
    if len(a) > 2:
        error = float(np.sqrt(left @ left / (len(a) - 2) / (middle @ middle)))
    return Growth(slope, error, float((b[-1] - b[-2]) / (a[-1] - a[-2])))


def bends(case: StepCase, share: float = 0.5) -> int | None:
    """Returns the frames from which temporal attention's T² is such a share of what a frame costs.

    Args:
        case: The step; connector `mqt` (of other connectors None is returned).
        share: Of the operations that grow with T.

    Returns:
        The smallest power of two, or None where it is beyond 65,536.
    """
    model = case.settings.model
    if model.connector != "mqt" or not model.mqt:
        return None

    def operations(frames: int) -> float:
        told = {"words": case.text, "prompt": case.text, "answer": case.answer}
        return flops(case.config, model, case.settings.lora, frames=frames, **told).training

    # three points tell the parts of a + b T + c T^2 apart
    one, two, four = (operations(64 * n) for n in (1, 2, 4))
    square = (four - 3 * two + 2 * one) / (6 * 64**2)
    linear = (two - one) / 64 - 3 * 64 * square
    frames = 1
    while frames <= 65_536:
        if square * frames >= share * linear:
            return frames
        frames *= 2
    return None


def bench_scale(
    out: Path,
    case: StepCase,
    *,
    name: str,
    points: Mapping[str, Sequence[int]] | None = None,
    seconds: float = 1.0,
    said: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Times steps over frames, text length and batch.

    Args:
        out: Folder of the result, ``scale.json``.
        case: The step from which one thing at a time is changed.
        name: What the model is called.
        points: Values of ``frames``, ``text`` and ``batch``; None takes those of this module.
        seconds: Time given to each point, warming up left out.
        said: Called with a line of progress.

    Returns:
        Points, exponents of time and of memory by what was changed, and where T² sets in.
    """
    points = points or {"frames": FRAMES, "text": TEXTS, "batch": BATCHES}
    rows: dict[str, list[dict[str, Any]]] = {}
    fits: dict[str, dict[str, Growth]] = {}
    for what, values in points.items():
        found: list[Measured] = []
        for value in values:
            made = run_apart(measure_step, _changed(case, what, value), seconds=seconds)
            found.append(made)
            said(f"{what} {value}: {1000 * made.quick:.1f} ms, {made.added / 2**20:.0f} MiB")
        rows[what] = [
            {"value": v, "quickest": m.quick, **asdict(m)}
            for v, m in zip(values, found, strict=True)
        ]
        fits[what] = {
            "time": growth(values, [m.quick for m in found]),
            "memory": growth(values, [m.added for m in found]),
        }
    result = {
        "backbone": name,
        "batch": case.batch,
        "frames": case.frames,
        "text": case.text,
        "points": rows,
        "exponents": {k: {n: asdict(g) for n, g in v.items()} for k, v in fits.items()},
        "frames_where_squares_are_half": bends(case),
        "goal": GOAL,
    }
    write_result(out / "scale.json", "scale", result)
    return result | {"fits": fits}


def _changed(case: StepCase, what: str, value: int) -> StepCase:
    if what == "frames":
        return case.with_frames(value)
    return replace(case, batch=value) if what == "batch" else replace(case, text=value)
