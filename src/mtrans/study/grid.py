"""The one engine behind all studies: jobs -> run folders, resumable, spread over processes.

    jobs -> is_done? -> found again
              no     -> run_job: adapt, evaluate   (here, or in spawned processes)

A job is an adaptation and its evaluation. What is finished is not touched, what was interrupted
goes on from its last checkpoint, and one that fails does not stop the others: it is named at the
end, and tried again the next time. Importing this needs no torch.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from mtrans.core.errors import MTransError
from mtrans.core.processes import end_with_parent
from mtrans.study.jobs import Job, StudyError, elsewhere, is_done

FAILURES = "failures.txt"
"""Where the full story of failed runs is kept."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: The job.
        seconds: Wall clock of this process; 0 where it was found done.
        result: The accuracy in words; empty where it was found done or failed.
        error: Why it failed, on one line.
        trace: The traceback of an error that is not the user's.
        killed: Its process died, from outside or for want of memory.
    """

    job: Job
    seconds: float = 0.0
    result: str = ""
    error: str | None = None
    trace: str | None = None
    killed: bool = False


class Watch:
    """Says on standard error how far a study is and how long it will take.

    Args:
        total: Runs of the whole study.
        workers: Runs side by side.
        say: Prints a line.
    """

    def __init__(
        self, total: int, workers: int = 1, say: Callable[[str], None] | None = None
    ) -> None:
        self.total = total
        self.workers = workers
        self.say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        self.over = 0
        self.spent: list[float] = []

    def found(self, jobs: Sequence[Job]) -> None:
        """Counts runs that were done before."""
        self.over += len(jobs)
        if jobs:
            self.say(f"[{self.over}/{self.total}] {len(jobs)} runs found done")

    def again(self, jobs: Sequence[Job]) -> None:
        """Takes runs that were over back, since they are tried once more."""
        self.over -= len(jobs)

    def started(self, job: Job) -> None:
        """A run begins in this process."""

    def finished(self, outcome: Outcome) -> None:
        """A run is over."""
        self.over += 1
        self.spent.append(outcome.seconds)
        what = f"failed: {outcome.error}" if outcome.error else outcome.result
        line = f"[{self.over}/{self.total}] {outcome.job.name}: {what} ({outcome.seconds:.0f} s)"
        left = self.left()
        self.say(line + (f"; about {in_words(left)} left" if left else ""))

    def left(self) -> float:
        """Returns the seconds that the rest will take, from the runs seen so far."""
        if not self.spent:
            return 0.0
        mean = sum(self.spent) / len(self.spent)
        return mean * max(0, self.total - self.over) / self.workers


def in_words(seconds: float) -> str:
    """Returns 4000 as ``1 h 7 min``."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def run_jobs(
    jobs: Sequence[Job],
    folder: str | Path,
    workers: int = 1,
    *,
    watch: Watch | None = None,
    live: bool = False,
) -> list[Outcome]:
    """Runs what is not done yet, to the end, whatever fails on the way.

    Args:
        jobs: What to run.
        folder: The study's folder.
        workers: Runs side by side, each on its share of the cores; 1 runs in this process.
        watch: Says how far it is; None makes one for these jobs.
        live: Show every run's own progress (with one worker).

    Returns:
        The outcomes in the order of `jobs`, failures among them.

    Raises:
        CheckpointError: The folder holds a finished run of that name with other settings or data.
        SettingsError: Unknown or contradictory settings.
        ManifestError: A manifest is missing or damaged.
    """
    folder = Path(folder)
    watch = watch or Watch(len(jobs), workers)
    found = [job for job in jobs if is_done(job, folder)]
    watch.found(found)
    outcomes = {job.name: Outcome(job) for job in found}
    todo = [job for job in jobs if job.name not in outcomes]
    if workers > 1 and len(todo) > 1:
        results = _beside(todo, folder, min(workers, len(todo)))
    else:
        results = _here(todo, folder, watch, live)
    for outcome in results:
        outcomes[outcome.job.name] = outcome
        watch.finished(outcome)
        if outcome.error:  # told already; a full disk must not stop the others
            with (
                contextlib.suppress(OSError),
                (folder / FAILURES).open("a", encoding="utf-8") as file,
            ):
                file.write(f"{outcome.job.name}\n{outcome.trace or outcome.error}\n\n")
    return [outcomes[job.name] for job in jobs]


def failures(outcomes: Sequence[Outcome], folder: Path) -> StudyError | None:
    """Returns an error that names the failed runs; None where none failed."""
    failed = [o for o in outcomes if o.error]
    if not failed:
        return None
    some = "; ".join(f"{o.job.name}: {o.error}" for o in failed[:5])
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    return StudyError(
        f"{len(failed)} of {len(outcomes)} runs failed, the same command tries them again"
        f" (details: {folder / FAILURES}): {some}{more}"
    )


def run_job(job: Job, folder: Path, live: bool = False) -> Outcome:
    """Adapts and evaluates; whatever is there of it is used again. Errors become the outcome's."""
    from mtrans.infer.evaluate import evaluate
    from mtrans.infer.predictor import load_predictor
    from mtrans.measure.apply import measure
    from mtrans.measure.predictions import read_predictions
    from mtrans.measure.units import shown
    from mtrans.study.count import time_answers
    from mtrans.study.results import main_metric
    from mtrans.train.adapt import adapt

    started = time.monotonic()
    try:
        run = adapt(
            job.settings(folder),
            job.split("train"),
            job.split("val") or None,
            folder / job.name,
            progress=live,
        )
        predictor = load_predictor(run.path)
        # first: a run whose answers are complete counts as done, and is not opened again
        time_answers(run, predictor, job.split("test"))
        evaluate(predictor, job.split("test"), batch_size=64, progress=live)
        for name in job.others:
            place = run.predictions(elsewhere(name))
            evaluate(predictor, job.elsewhere(name), place, batch_size=64, progress=live)
        found = read_predictions(run.predictions())
        score = measure(found, [main_metric(found)], resamples=200)[0]
    except MTransError as error:
        words = " ".join(str(error).split())
        return Outcome(job, time.monotonic() - started, error=words)
    except Exception as error:  # a bug in one of many long runs: kept with its traceback
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(job, time.monotonic() - started, error=words, trace=traceback.format_exc())
    wide = shown(score.metric, score.standard_error or 0)
    result = f"{score.metric} {shown(score.metric, score.value)} ± {wide}"
    return Outcome(job, time.monotonic() - started, result)


def _here(jobs: Sequence[Job], folder: Path, watch: Watch, live: bool) -> Iterator[Outcome]:
    for job in jobs:
        watch.started(job)
        yield run_job(job, folder, live)


def _beside(jobs: Sequence[Job], folder: Path, workers: int) -> Iterator[Outcome]:
    """Runs jobs in spawned processes; one that dies fails its own job and no other."""
    slots: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
    threads = None if "OMP_NUM_THREADS" in os.environ else max(1, _cores() // workers)

    def slot() -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=_begin, initargs=(threads,))

    def one(job: Job) -> Outcome:
        mine = slots.get()
        started = time.monotonic()
        try:
            return mine.submit(run_job, job, folder).result()
        except BrokenProcessPool:
            mine.shutdown(wait=False)
            mine = slot()
            words = "its process was killed; is there enough memory for so many workers?"
            return Outcome(job, time.monotonic() - started, error=words, killed=True)
        finally:
            slots.put(mine)

    for _ in range(workers):
        slots.put(slot())
    crew = ThreadPoolExecutor(workers)
    try:
        for done in as_completed([crew.submit(one, job) for job in jobs]):
            yield done.result()
    except BaseException:  # stopped: what is at work goes on from its last checkpoint
        crew.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        crew.shutdown(wait=True, cancel_futures=True)
        while not slots.empty():
            slots.get().shutdown()


def _begin(threads: int | None) -> None:
    """Sets up a process that runs jobs."""
    end_with_parent()
    import torch
    from transformers.utils import logging

    if threads:
        torch.set_num_threads(threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _cores() -> int:
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(usable(0)) if usable else os.cpu_count() or 1
