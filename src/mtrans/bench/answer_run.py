"""`mtrans bench answer`: both sides of :mod:`mtrans.bench.answer` in one process, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from mtrans.bench.answer import AnswerSetup, Ours, Theirs, Times
from mtrans.bench.apart import run_apart
from mtrans.bench.clips import bench_clips
from mtrans.bench.side_by_side import Ratio, ratio, write_result
from mtrans.bench.sizes import checkpoint
from mtrans.bench.train_flops import ours_answering, peer_flops
from mtrans.core.records import Sample
from mtrans.core.runtime import has_fast_bf16, pick_device, pick_dtype
from mtrans.core.settings import load_settings

OURS, PEER, EACH = "ours", "peer", "peer, a pass a candidate"
BF16 = "peer in bf16"
"""Timed on processors that are fast at it: there the peer is in fp32 unless users ask otherwise."""

WHATS = ("first", "whole", "choices", "follow-up, first", "follow-up, whole", "follow-up, choices")
GOALS = {"choices": 3.0, "follow-up, choices": 5.0, "whole": 3.0, "follow-up, whole": 5.0}
"""Times as fast as the peer that this project wants to be at 16 frames."""

REPEATED_UP_TO = 32
"""Frames of a batch up to which a case is repeated; above, one turn takes a minute."""


@dataclass
class Asked:
    """One number of frames at one batch size.

    Attributes:
        frames: Frames of a clip.
        batch: Clips asked about together.
        seconds: What was timed -> side -> seconds of each round.
        flops: Operations of reading clip and question: the peer's, ours, ours for a follow-up.
    """

    frames: int
    batch: int
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    flops: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def ratio(self, what: str, side: str = PEER) -> Ratio | None:
        """Returns how many times as long the peer takes; None where it was not timed."""
        each = self.seconds.get(what, {})
        if side not in each or OURS not in each:
            return None
        rounds = min(len(each[side]), len(each[OURS]))
        return ratio({s: each[s][:rounds] for s in (side, OURS)}, side, OURS)

    def add(self, side: str, times: Times) -> None:
        """Adds a round."""
        for what, seconds in times.items():
            self.seconds.setdefault(what, {}).setdefault(side, []).append(seconds)

    def median(self, what: str, side: str) -> float | None:
        """Returns the median seconds of a side; None where it was not timed."""
        each = self.seconds.get(what, {}).get(side)
        return statistics.median(each) if each else None


def bench_answer(
    out: Path,
    *,
    size: str = "mid",
    frames: Sequence[int] = (4, 8, 16, 64),
    batches: Sequence[int] = (1, 8),
    rounds: int = 2,
    words: int = 16,
    seconds: float = 10.0,
    device: str = "auto",
    said: Callable[[str], None] = lambda _: None,
) -> list[Asked]:
    """Times answers of both sides.

    Candidates are scored at batch 1: the peer takes one clip after the other anyway.

    Args:
        out: Folder for models, clips and the result, ``answer.json``.
        size: Of `bench.sizes.SIZES`.
        frames: Numbers of frames of a clip.
        batches: Clips asked about together.
        rounds: How often each case is run.
        words: Tokens written.
        seconds: Length of the drawn clips.
        device: As `RunSettings.device`.
        said: Called with a line of progress.

    Returns:
        What was timed, for each number of frames and each batch.
    """
    where = pick_device(device)
    model = checkpoint(size, out / "models", device=str(where), dtype=pick_dtype("auto", where))
    samples = bench_clips(out / f"clips-{seconds:g}s", max(batches), seconds=seconds)
    setup = AnswerSetup(str(model), tuple(samples), words, device)
    counts = [run_apart(count_answers, size, n, device=str(where)) for n in frames]
    models: dict[str, Any] = {OURS: Ours(setup, frames[0]), PEER: Theirs(setup, frames[0])}
    if where.type == "cpu" and has_fast_bf16(where):
        models[BF16] = Theirs(setup, frames[0], torch.bfloat16)
    found: list[Asked] = []
    for count, flops in zip(frames, counts, strict=True):
        for batch in batches:
            sides = {side: model.with_frames(count) for side, model in models.items()}
            made = Asked(count, batch, flops=flops)
            if not found:
                _turn(Asked(count, batch), sides, samples[:batch])  # warms up
            for turn in range(rounds if count * batch <= REPEATED_UP_TO else 1):
                _turn(made, sides, samples[:batch], each=turn == 0)
            found.append(made)
            first = ", ".join(f"{side} {made.median('whole', side):.2f} s" for side in sides)
            said(f"{count} frames, batch {batch}: {first} from the file to {words} tokens")
            _write(out, size, words, found)
    return found


def count_answers(size: str, frames: int, *, device: str) -> tuple[float, float, float]:
    """Counts operations of reading a clip and a question: the peer's, ours, our follow-up's."""
    whole, follow_up = ours_answering(size, frames, load_settings().model)
    return peer_flops(size, frames, None, device=device), whole, follow_up


def _turn(
    made: Asked, sides: dict[str, Any], samples: Sequence[Sample], *, each: bool = True
) -> None:
    for side, who in sides.items():
        made.add(side, who.write(samples))
    if made.batch > 1:
        return
    for side, who in sides.items():
        made.add(side, who.choose(samples))
    if each:
        made.add(EACH, sides[PEER].choose_each(samples))


def _write(out: Path, size: str, words: int, found: Sequence[Asked]) -> None:
    cases = [asdict(a) for a in found]
    write_result(out / "answer.json", "answer", {"size": size, "words": words, "cases": cases})


def findings(found: Sequence[Asked], *, frames: int = 16) -> list[str]:
    """Returns what the figures say of one number of frames at batch 1, one a line.

    Args:
        found: From :func:`bench_answer`.
        frames: Which; the largest where it was not timed.
    """
    alone = [a for a in found if a.batch == min(b.batch for b in found)]
    made = next((a for a in alone if a.frames == frames), alone[-1])
    peer, ours, follow = made.flops
    lines = [
        f"{made.frames} frames: operations of reading clip and question once: peer / ours"
        f" {peer / ours:.2f}, follow-up {peer / follow:.2f}"
    ]
    for what, side in [*((w, s) for w in WHATS for s in (PEER, BF16)), ("choices", EACH)]:
        found_ratio = made.ratio(what, side)
        if found_ratio is None:
            continue
        goal = f"; wanted {GOALS[what]:g}" if what in GOALS and side == PEER else ""
        lines.append(
            f"{made.frames} frames, {what}: {side} / ours {found_ratio.median:.2f} (rounds"
            f" {found_ratio.low:.2f} to {found_ratio.high:.2f}){goal}"
        )
    last = made.ratio("follow-up, whole")
    assert last is not None
    return [
        *lines,
        f"{made.frames} frames, a follow-up question, {PEER} / {OURS}: {last.median:.2f} (rounds"
        f" {last.low:.2f} to {last.high:.2f})",
    ]
