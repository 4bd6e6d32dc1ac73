"""How far each run of a plan is, read from its folder; changes nothing and needs no torch."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtrans.study.collect import choose
from mtrans.study.jobs import Job, differences, elsewhere, measurable
from mtrans.study.plan import StudyPlan
from mtrans.train.run_folder import RunFolder

State = Literal[
    "finished",
    "answers missing",
    "at work",
    "stopped",
    "not begun",
    "waits for the search",
    "other settings",
]


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        name: Its folder below the study's; of a run whose candidate is not chosen yet, its row.
        state: ``answers missing`` is trained, but not all questions are answered; ``stopped`` has
            begun, and nobody is at it.
        step: Steps taken, of a run at work; those of the last checkpoint, of one that stopped.
        steps: Steps it will take; None where the preset counts epochs.
        left: Seconds of training left, at the pace of the last lines of its log; None unless it
            is at work.
    """

    name: str
    state: State
    step: int | None = None
    steps: int | None = None
    left: float | None = None


def progress_of(plan: StudyPlan, folder: Path) -> list[Progress]:
    """Returns all runs of a plan, in the order of running.

    Raises:
        CheckpointError: A run.json is damaged.
        SettingsError: A contender's settings contradict each other.
    """
    found = []
    for seed in plan.seeds:
        for variant in plan.variants():
            chosen = choose(plan, variant, folder)[0]
            first = seed == plan.seeds[0]
            tried = variant.candidates if first else [chosen] if chosen is not None else []
            found += [_progress(plan.job(variant, c, seed, folder), folder) for c in tried]
            if not tried:
                row = f"{variant.data.name}/{variant.label}, seed {seed}"
                found.append(Progress(row, "waits for the search"))
    return found


def summary(runs: list[Progress]) -> str:
    """Returns how many runs are in which state, in words."""
    counts = Counter(run.state for run in runs)
    words = [f"{count} {state}" for state, count in counts.items() if state != "finished"]
    return ", ".join([f"{counts['finished']} of {len(runs)} runs finished", *words])


def _progress(job: Job, folder: Path) -> Progress:
    run = RunFolder(folder / job.name)
    steps = job.plain_settings().train.max_steps
    if run.state() == "new":
        return Progress(job.name, "not begun", steps=steps)
    if differences(job, run):
        return Progress(job.name, "other settings", steps=steps)
    if run.state() == "finished":
        splits = [None, *(elsewhere(name) for name in job.others)]
        answered = all(measurable(run, split) for split in splits)
        return Progress(job.name, "finished" if answered else "answers missing", steps, steps)
    if run.worker() is None:
        last = run.checkpoint_steps()
        return Progress(job.name, "stopped", last[-1] if last else 0, steps)
    step, pace = _log(run)
    left = None if pace is None or steps is None else pace * (steps - step)
    return Progress(job.name, "at work", step, steps, left)


def _log(run: RunFolder) -> tuple[int, float | None]:
    """Returns the last step logged, and the seconds a step took lately."""
    lines: list[dict[str, Any]] = []
    if run.log_file.exists():
        for line in run.log_file.read_text(encoding="utf-8").splitlines()[-8:]:
            try:
                lines.append(json.loads(line))
            except ValueError:  # it is just being written
                break
    if not lines:
        return 0, None
    first, last = lines[0], lines[-1]
    steps, seconds = (last.get(k, 0) - first.get(k, 0) for k in ("step", "seconds"))
    return int(last.get("step", 0)), seconds / steps if steps > 0 and seconds > 0 else None
