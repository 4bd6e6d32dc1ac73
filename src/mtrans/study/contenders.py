"""Contenders on the same clips with the same budget: ``python -m mtrans.study.contenders``.

    worlds x contenders x learning rates (first seed)  -> the rate with the best validation accuracy
    worlds x contenders x seeds, at that rate          -> predictions on the test clips -> table

Every contender gets the same clips, frames, steps and search. A run is a run folder; what is
finished is reused, what was interrupted goes on. Worlds are synthetic test benches.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.core.records import Prediction, Score
from mtrans.core.settings import load_settings
from mtrans.data.manifest import read_manifest
from mtrans.measure.apply import measure
from mtrans.measure.compare import compare
from mtrans.measure.predictions import read_predictions
from mtrans.video.worlds.make import make_world

CONTENDERS: dict[str, tuple[str, str | None]] = {
    "mtrans": ("mtrans", None),
    "paper": ("paper", None),
    "text": ("mtrans", "text"),
    "single": ("mtrans", "single"),
    "mean": ("mtrans", "mean"),
    "concat": ("mtrans", "concat"),
}
"""Name -> (preset, baseline laid over it)."""

MOTION: dict[str, tuple[str, ...]] = {
    "physics": ("moving_direction", "moving_count", "moving_attribute", "object_existence"),
    "talk": ("sarcasm",),
}
"""World -> question types that neither words nor the middle frame can answer."""


@dataclass(frozen=True)
class Plan:
    """What is compared, and with which budget; the same for all contenders."""

    worlds: tuple[str, ...] = ("physics", "talk")
    """Worlds to learn."""

    contenders: tuple[str, ...] = tuple(CONTENDERS)
    """Names in :data:`CONTENDERS`; paired differences are against the first."""

    train: int = 600
    """Training clips."""

    val: int = 100
    """Validation clips."""

    test: int = 400
    """Test clips."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of initialisation and order; the clips stay the same."""

    rates: tuple[float, ...] = (4e-3,)
    """Learning rates searched with the first seed; one rate means no search."""

    steps: int = 800
    """Optimizer steps of every run."""

    batch: int = 32
    """Questions a step."""

    frames: int = 4
    """Frames of a clip (1 for `single`)."""

    precision: str = "auto"
    """Arithmetic of the training step; auto is bf16 where the processor is fast at it."""

    overrides: tuple[str, ...] = ()
    """More settings, laid over every contender (``key=value``)."""

    world_seed: int = 0
    """Seed of the clips."""


@dataclass(frozen=True)
class Job:
    """One adaptation and its evaluation."""

    world: str
    contender: str
    seed: int
    rate: float

    @property
    def name(self) -> str:
        """Its folder below the study's."""
        return f"{self.world}/{self.contender}/rate-{self.rate:g}-seed-{self.seed}"


@dataclass(frozen=True)
class Row:
    """One contender's line in the table of a world.

    Attributes:
        contender: Its name.
        rate: The learning rate chosen on validation.
        scores: By slice: ``all``, ``motion``, and every question type; over all seeds, interval
            clustered by video.
        spread: Standard deviation over seeds of the accuracy on all questions.
        difference: Accuracy minus the first contender's, paired, with interval; None for itself.
        cost: Mean trained parameters, visual tokens, seconds a step, training seconds.
    """

    contender: str
    rate: float
    scores: dict[str, Score]
    spread: float
    difference: dict[str, Any] | None
    cost: dict[str, float]


def run(plan: Plan, out: str | Path, *, workers: int = 1) -> dict[str, list[Row]]:
    """Runs what is not yet done and returns the rows of each world.

    Args:
        plan: What to compare.
        out: The study's folder.
        workers: Runs side by side, each on its share of the cores.

    Raises:
        SettingsError: An unknown world, contender or setting.
        MTransError: Whatever stops an adaptation.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for world in plan.worlds:
        counts = {"train": plan.train, "val": plan.val, "test": plan.test}
        make_world(world, folder / "data" / world, counts, plan.world_seed, workers=workers)
    search = [
        Job(w, c, plan.seeds[0], r)
        for w in plan.worlds
        for c in plan.contenders
        for r in plan.rates
    ]
    _run_all(plan, folder, search, workers)
    chosen = {(w, c): choose_rate(plan, folder, w, c) for w in plan.worlds for c in plan.contenders}
    rest = [
        Job(w, c, s, chosen[w, c])
        for s in plan.seeds[1:]
        for w in plan.worlds
        for c in plan.contenders
    ]
    _run_all(plan, folder, rest, workers)
    rows = {w: [_row(plan, folder, w, c, chosen) for c in plan.contenders] for w in plan.worlds}
    (folder / "plan.json").write_text(json.dumps(asdict(plan), indent=1) + "\n")
    (folder / "results.json").write_text(
        json.dumps({w: [asdict(r) for r in rs] for w, rs in rows.items()}, indent=1) + "\n"
    )
    (folder / "table.md").write_text(table(plan, rows))
    return rows


def run_job(plan: Plan, folder: Path, job: Job, threads: int | None = None) -> None:
    """Adapts and evaluates one contender, reusing what is done."""
    import torch

    from mtrans.infer.evaluate import evaluate
    from mtrans.train.adapt import adapt

    if threads:
        torch.set_num_threads(threads)
    preset, baseline = CONTENDERS[job.contender]
    frames = {} if baseline == "single" else {"frames.count": plan.frames}
    settings = load_settings(
        preset=preset,
        baseline=baseline,
        values={
            **frames,
            "cache_dir": str(folder / "cache"),
            "train.seed": job.seed,
            "train.learning_rate": job.rate,
            "train.batch_size": plan.batch,
            "train.max_steps": plan.steps,
            "train.precision": _precision(plan),
            "train.evaluate_every": max(1, plan.steps // 5),
        },
        overrides=plan.overrides,
    )
    data = folder / "data" / job.world
    train, val, test = (read_manifest(data / f"{s}.jsonl") for s in ("train", "val", "test"))
    made = adapt(settings, train, val, folder / job.name, progress=False)
    evaluate(made.path, test, batch_size=64, progress=False)


def choose_rate(plan: Plan, folder: Path, world: str, contender: str) -> float:
    """Returns the rate whose run was best on validation, the first seed's; ties take the lower."""
    from mtrans.train.run_folder import RunFolder

    def merit(rate: float) -> tuple[float, float]:
        best = RunFolder(folder / Job(world, contender, plan.seeds[0], rate).name).info()["best"]
        return (best["accuracy"], -best["loss"])

    return max(sorted(plan.rates), key=merit) if len(plan.rates) > 1 else plan.rates[0]


def table(plan: Plan, rows: dict[str, list[Row]]) -> str:
    """Returns the tables as Markdown."""
    lines = [
        f"Synthetic test benches with known truth. Backbone `tiny`; {plan.train} training clips,"
        f" {plan.test} test clips, {plan.frames} frames, {plan.steps} steps of {plan.batch},"
        f" {len(plan.seeds)} seed(s). Accuracy in %, mean over seeds, 95 % bootstrap interval"
        " clustered by video; ± is the standard deviation over seeds.",
        "",
    ]
    for world, contenders in rows.items():
        slices = list(contenders[0].scores)
        heads = ["contender", *slices, f"vs {plan.contenders[0]}", "rate", "visual tokens"]
        heads += ["trained parameters", "train seconds"]
        lines += [f"### {world}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        chance = contenders[0].scores
        lines.append(
            "| chance | " + " | ".join(_percent(chance[s].chance) for s in slices) + " | | | | | |"
        )
        for row in contenders:
            cells = [_cell(row.scores[s], row.spread if s == "all" else None) for s in slices]
            d = row.difference
            gap = (
                f"{100 * d['difference']:+.1f} [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}]"
                if d
                else ""
            )
            cost = row.cost
            cells += [gap, f"{row.rate:g}", f"{cost['visual_tokens']:.0f}"]
            cells += [f"{cost['trained_parameters']:,.0f}", f"{cost['train_seconds']:.0f}"]
            lines.append(f"| {row.contender} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _run_all(plan: Plan, folder: Path, jobs: Sequence[Job], workers: int) -> None:
    if workers == 1:
        for job in jobs:
            _said(plan, folder, job)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        for done in concurrent.futures.as_completed(
            [pool.submit(_said, plan, folder, job, 1) for job in jobs]
        ):
            done.result()


def _said(plan: Plan, folder: Path, job: Job, threads: int | None = None) -> None:
    run_job(plan, folder, job, threads)
    found = read_predictions(folder / job.name / "predictions.jsonl")
    score = measure(found, ["accuracy"], resamples=200)[0]
    print(
        f"{job.name}: accuracy {100 * score.value:.1f} ± {100 * (score.standard_error or 0):.1f}",
        flush=True,
    )


def _row(
    plan: Plan, folder: Path, world: str, contender: str, chosen: dict[tuple[str, str], float]
) -> Row:
    from mtrans.train.run_folder import RunFolder

    def runs(name: str) -> list[RunFolder]:
        jobs = [Job(world, name, seed, chosen[world, name]) for seed in plan.seeds]
        return [RunFolder(folder / job.name) for job in jobs]

    mine = runs(contender)
    by_seed = [read_predictions(r.predictions()) for r in mine]
    pooled = _pool(by_seed)
    scores = {"all": measure(pooled, ["accuracy"])[0]}
    types = sorted({p.type for p in pooled if p.type})
    motion = [p for p in pooled if p.type in MOTION.get(world, ())]
    if motion and len({p.type for p in motion}) > 1:
        scores["motion"] = measure(motion, ["accuracy"])[0]
    for kind in types:
        scores[kind] = measure([p for p in pooled if p.type == kind], ["accuracy"])[0]
    seeds = [float(measure(p, ["accuracy"], resamples=2)[0].value) for p in by_seed]
    difference = None
    if contender != plan.contenders[0]:
        first = _pool([read_predictions(r.predictions()) for r in runs(plan.contenders[0])])
        difference = compare(first, pooled, metrics=["accuracy"])[0].to_json()
    costs = [r.info()["cost"] for r in mine]
    names = ("visual_tokens", "trained_parameters", "train_seconds", "seconds_per_step")
    return Row(
        contender,
        chosen[world, contender],
        scores,
        float(np.std(seeds, ddof=1)) if len(seeds) > 1 else 0.0,
        difference,
        {name: float(np.mean([c[name] for c in costs])) for name in names},
    )


def _precision(plan: Plan) -> str:
    from mtrans.core.runtime import has_fast_bf16, pick_device

    if plan.precision != "auto":
        return plan.precision
    return "bf16" if has_fast_bf16(pick_device("auto")) else "fp32"


def _pool(by_seed: Sequence[Sequence[Prediction]]) -> list[Prediction]:
    """Puts the seeds' predictions side by side; a video with all its seeds is one cluster."""
    return [replace(p, id=f"{p.id}#{seed}") for seed, part in enumerate(by_seed) for p in part]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _cell(score: Score, spread: float | None) -> str:
    text = f"{100 * score.value:.1f}"
    if score.low is not None and score.high is not None:
        text += f" [{100 * score.low:.1f}, {100 * score.high:.1f}]"
    return text + (f" ±{100 * spread:.1f}" if spread else "")


def main(arguments: list[str] | None = None) -> None:
    """Runs the study; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m mtrans.study.contenders",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan = Plan()
    parser.add_argument("--out", type=Path, default=Path("runs/contenders"))
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--set", action="append", default=[], help="key=value for every contender")
    for name in ("worlds", "contenders"):
        parser.add_argument(f"--{name}", nargs="+", default=getattr(plan, name))
    parser.add_argument("--seeds", nargs="+", type=int, default=plan.seeds)
    parser.add_argument("--rates", nargs="+", type=float, default=plan.rates)
    for name in ("train", "val", "test", "steps", "batch", "frames", "world_seed"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(plan, name))
    given = vars(parser.parse_args(arguments))
    out, workers, overrides = given.pop("out"), given.pop("workers"), given.pop("set")
    lists: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    from mtrans.core.errors import MTransError

    try:
        rows = run(Plan(**lists, overrides=tuple(overrides)), out, workers=workers)
    except MTransError as error:
        sys.exit(f"error: {error}")
    print(table(Plan(**lists, overrides=tuple(overrides)), rows))
    print(f"written to {out}/table.md and {out}/results.json")


if __name__ == "__main__":
    main()
