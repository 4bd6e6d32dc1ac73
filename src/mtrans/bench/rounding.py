"""What rounding does to the answers of finished runs: matrices in bf16, features in 16 and 8 bit.

The same questions are answered once exactly, weights and features in fp32, and once with each
rounding; the answers are compared in pairs, those of all runs (seeds) together. Whole videos are
drawn for the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtrans.bench.side_by_side import write_result
from mtrans.bench.sizes import config_of
from mtrans.core.records import Prediction, Sample
from mtrans.core.runtime import has_fast_bf16, pick_device
from mtrans.core.settings import CacheDtype
from mtrans.data.forms import FORMS, stored_bytes
from mtrans.infer.evaluate import evaluate
from mtrans.infer.predictor import Predictor, load_predictor
from mtrans.measure.apply import default_metrics, of_task
from mtrans.measure.compare import compare
from mtrans.measure.intervals import bootstrap, clusters_of
from mtrans.measure.metrics import METRICS
from mtrans.measure.predictions import read_predictions
from mtrans.train.run_folder import read_settings

if TYPE_CHECKING:
    import torch

CASES: dict[str, tuple[str, CacheDtype]] = {
    "exact": ("fp32", "same"),
    "features in 16 bit": ("fp32", "float16"),
    "features in 8 bit": ("fp32", "int8"),
    "matrices in bf16": ("mixed", "same"),
    "matrices in bf16, features in 8 bit": ("mixed", "int8"),
}
"""Name -> `dtype` and `cache_dtype` of the settings; the first is what the others are held to."""

CLIPS = 1000
FRAMES = (4, 8, 32)


@dataclass(frozen=True)
class Rounded:
    """What a rounding does.

    Attributes:
        case: Its name.
        metric: What is measured, a share.
        value: The metric with it.
        difference: To the exact answers.
        low: Lower end of the difference's interval.
        high: Upper end.
        changed: Share of questions that are answered otherwise.
    """

    case: str
    metric: str
    value: float
    difference: float
    low: float | None
    high: float | None
    changed: float


def bench_rounding(
    out: Path,
    runs: Sequence[Path],
    samples: Sequence[Sample],
    *,
    device: str = "auto",
    said: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Answers with and without rounding.

    Args:
        out: Folder for caches, answers and the result, ``rounding.json``.
        runs: Run folders: the seeds of one recipe.
        samples: Questions with known answers.
        device: Where, as `RunSettings.device`.
        said: Called with a line of progress.

    Returns:
        The exact answers' metric with its standard error, what each rounding does, and bytes.
        Matrices in bf16 are left out where the device, or a run, would keep them in fp32.

    Raises:
        CheckpointError: A run is not there or not finished.
        PredictionsError: No sample has a known answer.
    """
    answers: dict[str, list[Prediction]] = {}
    unrounded = _why_unrounded(runs, pick_device(device))
    for case, (dtype, form) in CASES.items():
        if dtype == "mixed" and unrounded is not None:
            said(f"{case}: not measured, {unrounded}")
            continue
        for number, run in enumerate(runs):
            predictor = load_predictor(run, dtype=dtype, device=device, calibrated=False)
            _keep_in(predictor, out / "cache", form)
            path = out / f"{_file(case)}-{number}.jsonl"
            said(f"{case}: {run}")
            done = evaluate(predictor, samples, path, overwrite=True, use_cache=True)
            answers.setdefault(case, []).extend(
                replace(p, id=f"{number}/{p.id}") for p in read_predictions(done.predictions)
            )
    exact = answers[next(iter(CASES))]
    metric = default_metrics(exact)[0]
    asked = of_task(exact, METRICS.get(metric).task)
    statistics = METRICS.get(metric).statistics(asked)
    spread = bootstrap([statistics], clusters_of(asked))[0]
    result = {
        "runs": [str(run) for run in runs],
        "questions": len(asked) // len(runs),
        "metric": metric,
        "exact": statistics.value(),
        "standard_error": spread.standard_error if spread else None,
        "cases": [
            asdict(_against(case, metric, exact, answers[case])) for case in list(answers)[1:]
        ],
        "bytes": sizes(),
    }
    write_result(out / "rounding.json", "rounding", result)
    return result


def sizes() -> dict[str, dict[str, int]]:
    """Returns bytes of 1,000 clips' features of InstructBLIP's ViT, by frames and form."""
    vision: Any = config_of("7b").vision_config
    patches = (vision.image_size // vision.patch_size) ** 2 + 1
    return {
        str(frames): {
            form: CLIPS * stored_bytes((frames, patches, vision.hidden_size), form)
            for form in FORMS
        }
        for frames in FRAMES
    }


def _why_unrounded(runs: Sequence[Path], device: torch.device) -> str | None:
    """Says why `dtype` ``mixed`` would round nothing; None where it does."""
    if not has_fast_bf16(device):
        return f"the {device.type} is not fast at bf16, so matrices stay in fp32"
    fp32 = [run for run in runs if read_settings(run).train.precision == "fp32"]
    return f"'{fp32[0]}' was trained with train.precision=fp32" if fp32 else None


def _keep_in(predictor: Predictor, folder: Path, form: CacheDtype) -> None:
    predictor.settings = replace(predictor.settings, cache_dir=str(folder), cache_dtype=form)


def _file(case: str) -> str:
    return case.replace(",", "").replace(" ", "-")


def _against(
    case: str, metric: str, exact: Sequence[Prediction], rounded: Sequence[Prediction]
) -> Rounded:
    found = compare(exact, rounded, metrics=[metric])[0]
    changed = sum(a.answer != b.answer for a, b in zip(exact, rounded, strict=True)) / len(exact)
    return Rounded(
        case, metric, found.other, found.difference, found.low, found.high, round(changed, 6)
    )
