"""`mtrans demo`: the whole job on a synthetic world, against contenders with the same budget.

    clips -> adapt and evaluate each contender -> table.md, report.html -> one question asked

    out/
      data/            clips and manifests of the world
      runs/<name>/     a run folder for each contender
      cache/           frozen features, shared by the contenders that see the same frames
      table.md         the results
      report.html      the method's run beside the others

Everything done is kept and found again, so that a stopped demo goes on and a finished one only
prints its results.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Group

from mtrans.app import output
from mtrans.core.files import write_text
from mtrans.core.markdown import table
from mtrans.core.records import Sample, Score
from mtrans.measure.compare import Comparison
from mtrans.study.grid import Watch, failures, run_jobs
from mtrans.study.jobs import Job
from mtrans.study.parts import MOTION
from mtrans.study.results import Row, measure_row
from mtrans.train.run_folder import RunFolder

METHOD = "mtrans"

ABOUT = {
    METHOD: "the method: frames attend over time, as many tokens as one frame",
    "text": "sees nothing: the same model with its frames zeroed",
    "concat": "frames side by side, no attention over time in the Q-Former",
    "single": "one frame",
    "mean": "frames each on their own, then their mean",
}


@dataclass(frozen=True)
class DemoPlan:
    """The demo's budget: the same for every contender.

    Attributes:
        backbone: The image model.
        world: The synthetic world.
        seed: Seed of the clips and of training.
        train_clips: Clips to train on.
        val_clips: Clips that choose the best adapter.
        test_clips: Clips to measure on.
        contenders: What is trained, the method first; names of `BASELINES` otherwise.
        values: Settings that differ from the preset, for all contenders.
        workers: Processes that draw clips.
    """

    backbone: str = "tiny"
    world: str = "talk"
    seed: int = 0
    train_clips: int = 600
    val_clips: int = 60
    test_clips: int = 300
    contenders: tuple[str, ...] = (METHOD, "text", "concat")
    values: Mapping[str, Any] = field(
        default_factory=lambda: {
            "train.max_steps": 400,
            "train.evaluate_every": 100,
            "train.batch_size": 32,
        }
    )
    workers: int = 2

    @property
    def motion_types(self) -> tuple[str, ...]:
        """Question types that neither words nor the middle frame can answer."""
        return MOTION.get(self.world, ())

    @classmethod
    def make(cls, *, full: bool, seed: int, train_clips: int | None) -> DemoPlan:
        """Returns the plan that the command's options mean."""
        more: dict[str, Any] = {} if train_clips is None else {"train_clips": train_clips}
        if full:
            more["contenders"] = (*cls.contenders, "single", "mean")
        return cls(seed=seed, **more)

    def job(self, contender: str, out: Path) -> Job:
        """Returns the run of a contender."""
        train, val, test = (out / "data" / f"{split}.jsonl" for split in ("train", "val", "test"))
        return Job(
            name=f"runs/{contender}",
            train=train,
            val=val,
            test=test,
            seed=self.seed,
            baseline=None if contender == METHOD else contender,
            values={"backbone": self.backbone, **self.values},
        )


def run_demo(plan: DemoPlan, out: Path) -> list[Row]:
    """Runs the demo and prints its results.

    Args:
        plan: What to do.
        out: The folder; what it holds of the same plan is used again.

    Returns:
        The table's rows, the method first.

    Raises:
        CheckpointError: The backbone has no weights, or `out` holds runs of another plan.
    """
    from mtrans.models.loading import load_backbone
    from mtrans.report.build import build

    clock = _Clock(len(plan.contenders))
    load_backbone(plan.backbone)  # without weights nothing else is worth its time
    output.say(output.SYNTHETIC)
    _draw(plan, out, clock)
    jobs = [plan.job(name, out) for name in plan.contenders]
    if failed := failures(run_jobs(jobs, out, watch=clock, live=True), out):
        raise failed
    clock.tell("measuring")
    rows = results(plan, out)
    write_text(out / "table.md", markdown(plan, rows))
    runs = [out / job.name for job in jobs]
    page = build(runs[0], out / "report.html", compare=runs[1:])
    output.console().print(_shown(plan, rows))
    _ask(plan, out, jobs[0].split("test"))
    print(f"table:  {out / 'table.md'}\nreport: {page}")
    clock.tell("done")
    return rows


def results(plan: DemoPlan, out: Path) -> list[Row]:
    """Measures the contenders' predictions.

    Args:
        plan: What was done.
        out: The demo's folder.

    Returns:
        A row a contender, in the plan's order.
    """
    runs = {
        name: {plan.seed: RunFolder(out / plan.job(name, out).name)} for name in plan.contenders
    }
    method = runs[plan.contenders[0]]
    return [
        replace(
            measure_row(mine, plan.motion_types, None if mine is method else method),
            data=plan.world,
            contender=name,
        )
        for name, mine in runs.items()
    ]


HEADERS = (
    "contender",
    "all questions %",
    "motion %",
    "against mtrans",
    "against mtrans, motion",
    "visual tokens",
    "trained",
    "s",
)


def markdown(plan: DemoPlan, rows: Sequence[Row]) -> str:
    """Returns the results as a Markdown page."""
    lines = [
        f"# `{plan.backbone}` on the synthetic world `{plan.world}`",
        "",
        output.SYNTHETIC,
        "",
        _about(plan, rows),
        "",
        *table(HEADERS, _cells(rows), text=1),
        "",
        *(f"- `{row.contender}`: {ABOUT[row.contender]}" for row in rows),
    ]
    return "\n".join(lines) + "\n"


class _Clock(Watch):
    """Says what is being done, and when."""

    def __init__(self, total: int) -> None:
        super().__init__(total, say=self.tell)
        self.began = time.monotonic()

    def tell(self, words: str) -> None:
        """Prints a line with the seconds since the start."""
        output.say(f"[{time.monotonic() - self.began:4.0f} s] {words}")

    def started(self, job: Job) -> None:
        """Names a contender before its own progress is shown."""
        name = Path(job.name).name
        self.tell(f"{self.over + 1}/{self.total} {name}: {ABOUT[name]}")


def _draw(plan: DemoPlan, out: Path, clock: _Clock) -> None:
    from mtrans.video.worlds.make import make_world

    counts = {"train": plan.train_clips, "val": plan.val_clips, "test": plan.test_clips}
    clock.tell(
        f"clips of the world '{plan.world}': {', '.join(f'{n} {s}' for s, n in counts.items())}"
    )
    with output.progress("drawing clips") as step:
        make_world(plan.world, out / "data", counts, plan.seed, workers=plan.workers, progress=step)


def _ask(plan: DemoPlan, out: Path, test: Sequence[Sample]) -> None:
    """Asks the adapted model one question about motion, as `mtrans ask` does."""
    from mtrans.infer.predictor import load_predictor

    about_motion = [s for s in test if s.type in plan.motion_types] or list(test)
    sample = max(about_motion, key=lambda s: len(s.choices or ()))
    run = out / "runs" / METHOD
    answer = load_predictor(run).ask(
        sample.video, sample.question, sample.choices, sample.context, sample.start, sample.end
    )
    video = out / "data" / "videos" / Path(sample.video or "").name
    words = ["mtrans", "ask", str(run), str(video), sample.question]
    words += [w for c in sample.choices or () for w in ("--choice", c)]
    words += [w for t in sample.context for w in ("--context", f"{t.speaker}: {t.text}")]
    print(shlex.join(words))
    sure = zip(answer.choices or (), answer.probabilities or (), strict=True)
    likely = ", ".join(f"{c} {output.percent(p)} %" for c, p in sure)
    print(f"  {answer.text} ({likely}); right is: {sample.answer}\n")


def _about(plan: DemoPlan, rows: Sequence[Row]) -> str:
    first = rows[0].overall
    motion = rows[0].motion
    steps = plan.values.get("train.max_steps")
    moving = (
        f"{motion.n} of them about motion (guessing gives {output.percent(motion.chance)} %)"
        if motion
        else "none about motion"
    )
    return (
        f"{first.n} questions on {first.clusters} test clips (guessing gives"
        f" {output.percent(first.chance)} %), {moving}. Each contender was trained on the same"
        f" {plan.train_clips} clips" + (f" for {steps} steps" if steps else "") + ", seed"
        f" {plan.seed}. In brackets: 95 % bootstrap intervals over videos; differences are paired."
    )


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    return [
        [
            row.contender,
            _score(row.overall),
            _score(row.motion),
            _difference(row.against),
            _difference(row.against_motion),
            f"{row.cost['visual_tokens']:.0f}",
            f"{row.cost['trained_parameters']:,.0f}",
            f"{row.cost['train_seconds']:.0f}",
        ]
        for row in rows
    ]


def _score(score: Score | None) -> str:
    if score is None:
        return output.DASH
    return f"{output.percent(score.value)} ({output.numbers(score.metric, score.low, score.high)})"


def _difference(found: Comparison | None) -> str:
    if found is None:
        return output.DASH
    between = output.numbers(found.metric, found.low, found.high, signed=True)
    return f"{output.percent(found.difference, signed=True)} ({between})"


def _shown(plan: DemoPlan, rows: Sequence[Row]) -> Group:
    heads = [head.replace(" ", "\n") for head in HEADERS]
    made = output.table(*heads, title=f"{plan.backbone} on the synthetic world {plan.world}")
    for cells in _cells(rows):
        made.add_row(*(cell.replace(" (", "\n(") for cell in cells))
    return Group(made, _about(plan, rows), "")
