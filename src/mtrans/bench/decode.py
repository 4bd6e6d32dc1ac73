"""Frames a second from video files: ours against what people use, side by side.

Each case (files, frames of a clip, reader) has a process of its own, so that its peak memory is its
own; readers take turns within a case. Files are in the system's cache: each was decoded before.
Importing is not timed. Only files that every reader can read are timed; the others are named.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.bench.decode_clips import ClipSet, clip_sets
from mtrans.bench.decode_readers import OURS, READERS, Got, Wanted
from mtrans.bench.decode_truth import Verdict, judge, truth, wanted_frames
from mtrans.bench.decode_worker import ReaderError, Worker, ffmpeg_links
from mtrans.bench.side_by_side import Ratio, ratio, take_turns, write_result

COUNTS = (4, 8, 32)


@dataclass(frozen=True)
class Timed:
    """One reader in one case.

    Attributes:
        seconds: By round, for all files of the case.
        cpu_seconds: Likewise, summed over threads.
        peak_mb: Highest resident memory.
        import_mb: The part of it that importing took.
    """

    seconds: list[float]
    cpu_seconds: list[float]
    peak_mb: float
    import_mb: float


@dataclass(frozen=True)
class Case:
    """Files and frames of a clip.

    Attributes:
        files: Name of the set.
        count: Frames of a clip.
        frames: Frames of all clips together.
        readers: Name -> what it took.
        best: The fastest peer, and ours over it; None where there is no peer.
    """

    files: str
    count: int
    frames: int
    readers: dict[str, Timed]
    best: Ratio | None


@dataclass
class Bench:
    """What came out.

    Attributes:
        cases: What was timed.
        verdicts: Set -> reader -> its verdict over all files it could read.
        missing: Reader -> why it is not there.
        left_out: Set -> file -> reader -> why it can't read this file, which is timed with nobody.
    """

    cases: list[Case] = field(default_factory=list)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)

    def worst(self) -> Ratio | None:
        """Returns ours over the best peer where that is highest."""
        ratios = [case.best for case in self.cases if case.best is not None]
        return max(ratios, key=lambda r: r.median, default=None)


def bench_decode(
    out: Path,
    *,
    videos: Sequence[Path] = (),
    counts: Sequence[int] = COUNTS,
    clips: int = 16,
    seconds: float = 10.0,
    minutes: float = 10.0,
    rounds: int = 3,
    readers: Sequence[str] = tuple(READERS),
    said: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Times readers.

    Args:
        out: Folder for drawn clips and the result, ``decode.json``.
        videos: Folders of real clips.
        counts: Frames of a clip.
        clips: Files a folder at most.
        seconds: Length of drawn short clips.
        minutes: Length of the drawn long file.
        rounds: How often each reader reads each case.
        readers: Which of `READERS`.
        said: Called with a line of progress.

    Returns:
        What came out, which is in ``decode.json`` too.

    Raises:
        VideoError: A folder has no videos.
    """
    result = Bench()
    links = ffmpeg_links(out / "ffmpeg")
    with contextlib.ExitStack() as stack:
        workers = _start(readers, links, stack, result.missing)
        said(f"readers: {', '.join(workers)}; not there: {', '.join(result.missing) or 'none'}")
        for files in clip_sets(out, videos, clips=clips, seconds=seconds, minutes=minutes):
            said(f"{files.name}: {len(files.paths)} files, checking the frames that come out")
            good = _check(files, max(counts), workers, result)
            names = list(result.verdicts[files.name])
            for count in counts if good else ():
                wanted = [wanted_frames(path, count) for path in good]
                result.cases.append(_time(files.name, count, wanted, names, links, rounds, said))
    write_result(out / "decode.json", "decode", asdict(result))
    return result


def _start(
    readers: Iterable[str], links: str | None, stack: contextlib.ExitStack, missing: dict[str, str]
) -> dict[str, Worker]:
    workers = {}
    for name in readers:
        try:
            workers[name] = stack.enter_context(contextlib.closing(Worker(name, links)))
        except ReaderError as error:
            missing[name] = str(error)
    return workers


def _check(files: ClipSet, count: int, workers: dict[str, Worker], result: Bench) -> list[str]:
    """Judges every reader on every file; returns the files that all can read.

    A reader that can read none of them counts as missing for this set only.
    """
    verdicts: dict[str, list[Verdict]] = {name: [] for name in workers}
    failed: dict[str, dict[str, str]] = {path: {} for path in files.paths}
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "frames.npz"
        for path in files.paths:
            right = truth(path, count)
            for name, worker in workers.items():
                try:
                    worker.read([right.wanted], kept)
                except ReaderError as error:
                    failed[path][name] = str(error)
                    continue
                with np.load(kept) as got:
                    verdicts[name].append(judge(right, Got(got["pixels"], got["times"])))
    result.verdicts[files.name] = {n: _together(v) for n, v in verdicts.items() if v}
    result.left_out[files.name] = {Path(p).name: why for p, why in failed.items() if why}
    here = result.verdicts[files.name]
    return [path for path, why in failed.items() if not any(name in here for name in why)]


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    frames = sum(v.frames for v in verdicts)
    late = [v.late for v in verdicts if v.late is not None]
    return Verdict(
        frames=frames,
        others=sum(v.others for v in verdicts),
        late=max(late, default=None),
        difference=sum(v.difference * v.frames for v in verdicts) / frames,
    )


def _time(
    files: str,
    count: int,
    wanted: list[Wanted],
    names: Sequence[str],
    links: str | None,
    rounds: int,
    said: Callable[[str], None],
) -> Case:
    """Times the readers of one case in turns, each in a fresh process."""
    with contextlib.ExitStack() as stack:
        workers = {
            name: stack.enter_context(contextlib.closing(Worker(name, links))) for name in names
        }
        answers: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for worker in workers.values():
            worker.read(wanted[:1])  # what a library sets up at its first use is not timed

        def turn(name: str) -> float:
            answers[name].append(workers[name].read(wanted))
            return float(answers[name][-1]["seconds"])

        cases = {name: lambda name=name: turn(name) for name in names}
        seconds = take_turns(cases, rounds, lambda _: None)  # type: ignore[arg-type]
        timed = {
            name: Timed(
                seconds=seconds[name],
                cpu_seconds=[float(a["cpu_seconds"]) for a in answers[name]],
                peak_mb=float(answers[name][-1]["peak_mb"]),
                import_mb=workers[name].import_mb,
            )
            for name in names
        }
    peers = [name for name in names if name != OURS]
    best = min(peers, key=lambda n: statistics.median(seconds[n]), default=None)
    over = ratio(seconds, OURS, best) if best and OURS in seconds else None
    said(f"{files}, {count} frames: {over}")
    return Case(files, count, sum(len(w.numbers) for w in wanted), timed, over)
