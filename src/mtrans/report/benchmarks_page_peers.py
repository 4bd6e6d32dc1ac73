"""Sections of docs/BENCHMARKS.md that hold ours against what people use: train, answer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from mtrans.report.benchmarks_page_parts import (
    Goal,
    Record,
    Section,
    Span,
    distinct,
    options,
    paired,
    table,
)
from mtrans.report.words import NOTHING, percent

OURS, PEER, EACH = "ours", "peer", "peer, a pass a candidate"
BF16 = "peer in bf16"
COLD, WARM, SAME = "ours, cold cache", "ours, warm cache", "ours, peer's function"
ONLINE = ("peer, online", "peer, 2 workers")
OURS_MEMORY, PEER_MEMORY = "ours, in memory", "peer, in memory"
"""Sides and cases, as mtrans.bench names them."""

WARM_GOALS = {8: 4.0, 32: 10.0}
"""Frames -> times the clips a second of the peer."""

GOAL_SIZES = ("tiny", "mid")
MEMORY_GOAL, LEFT_OUT_GOAL, COLD_GOAL = 2.0, 0.8, 1.0
GPU_GOAL = 48e9
"""Bytes at 7B shapes in bf16, 8 frames, batch 4."""

ANSWER_FRAMES = 16
ANSWER_GOALS = {
    "whole": 3.0,
    "choices": 3.0,
    "follow-up, whole": 5.0,
    "follow-up, choices": 5.0,
}
WHATS = ("first", "whole", "choices", "follow-up, first", "follow-up, whole", "follow-up, choices")


def train(record: Record) -> Section:
    """Returns what `mtrans bench train` found."""
    parts = [_Trained(c) for c in record["comparisons"]]
    rows = []
    for part in parts:
        for case in part.cases:
            peak, above = part.memory(case)
            seconds = statistics.median(part.clip_seconds(case))
            rows.append(
                [
                    f"{part.size}, {part.frames} frames, batch {part.batch}",
                    case,
                    f"{1 / seconds:.2f}",
                    f"{part.batch * seconds:.3g}",
                    f"{peak:,.0f}",
                    NOTHING if above is None else f"{above:,.0f}",
                    str(part.cases[case][0]["visual_tokens"]),
                ]
            )
    head = ["model", "case", "clips/s", "s a step", "peak MiB", "of it above importing"]
    lines = table([*head, "LLM tokens of a clip"], rows, text=2)
    counted = [
        f"{part.size}, {part.frames} frames {len(part.cases[WARM][0]['seconds'])} in groups of"
        f" {part.together}"
        for part in parts
    ]
    lines += [f"Steps of a round that count, after one that does not: {'; '.join(counted)}.", ""]
    lines += ["Peer over ours, seconds of a clip; goals are held against the faster peer (*).", ""]
    head = ["model", "peer", "its attention", "warm cache", "cold cache", "peer's function"]
    ratios = [
        [
            f"{part.size}, {part.frames} frames",
            f"{peer}{' *' if peer == part.peer() else ''}",
            part.attention,
            *(str(part.ratio(peer, case)) for case in (WARM, COLD, SAME)),
        ]
        for part in parts
        for peer in (case for case in ONLINE if case in part.cases)
    ]
    lines += table(head, ratios, text=3)
    head = ["model", "in memory, peer / ours", "operations allow", "of it"]
    alone = [(part, part.ratio(PEER_MEMORY, OURS_MEMORY)) for part in parts]
    steps = [
        [
            f"{part.size}, {part.frames} frames",
            str(span),
            f"{part.allowed:.2f}",
            percent(span.median / part.allowed, 0),
        ]
        for part, span in alone
    ]
    lines += table(head, steps)
    lines += _memory(parts)
    return Section(_train_command(parts), lines, [g for p in parts for g in p.goals()])


def _memory(parts: Sequence[_Trained]) -> list[str]:
    """Says how memory compares without what importing the libraries takes on either side."""
    rows = []
    for part in parts:
        (theirs, above), (ours, own) = part.memory(part.peer()), part.memory(WARM)
        if above is not None and own is not None:
            cells = [f"{theirs / ours:.2f}", f"{above / own:.2f}"]
            cells += [f"{ours - own:,.0f}", f"{theirs / MEMORY_GOAL:,.0f}"]
            rows.append([f"{part.size}, {part.frames} frames", *cells])
    head = ["peak, peer / ours", "above importing, peer / ours"]
    head += ["importing MiB, ours", "half the peer's peak MiB"]
    return table(["model", *head], rows) if rows else []


def _train_command(parts: Sequence[_Trained]) -> str:
    given = options(
        size=distinct([p.size for p in parts]),
        frames=distinct([p.frames for p in parts]),
        rounds=len(parts[0].cases[WARM]),
    )
    quick = any(p.size == "tiny" and p.batch == 4 for p in parts)
    return f"mtrans bench train{given}{' --quick' if quick else ''}"


class _Trained:
    """As mtrans.bench.train.Comparison, which needs torch; a test holds the two equal."""

    def __init__(self, record: Record):
        self.size, self.frames = str(record["size"]), int(record["frames"])
        self.batch, self.attention = int(record["batch"]), str(record["attention"])
        self.together = int(record["together"])
        self.cases: dict[str, list[dict[str, Any]]] = record["cases"]
        self.allowed = record["flops"][1] / record["flops"][0]

    def clip_seconds(self, case: str) -> list[float]:
        found = []
        for made in self.cases[case]:
            each = made["seconds"]
            for first in range(0, len(each), self.together):
                steps = each[first : first + self.together]
                found.append(statistics.fmean(steps) / self.batch + made["prepare_seconds"])
        return found

    def memory(self, case: str) -> tuple[float, float | None]:
        made = max(self.cases[case], key=lambda m: float(m["peak_mb"]))
        imported = made["import_mb"]
        return made["peak_mb"], None if imported is None else made["peak_mb"] - imported

    def peer(self) -> str:
        there = [case for case in ONLINE if case in self.cases]
        return min(there, key=lambda case: statistics.median(self.clip_seconds(case)))

    def ratio(self, slow: str, fast: str) -> Span:
        return paired(self.clip_seconds(slow), self.clip_seconds(fast))

    def goals(self) -> list[Goal]:
        """Returns goals and verdicts; none for sizes and frames that the goals don't name."""
        head = f"{self.size}, {self.frames} frames: "
        if self.size == "7b" and self.cases[WARM][0]["memory_kind"] == "cuda":
            peak = max(self.memory(case)[0] for case in (COLD, WARM)) * 2**20
            what = f"{head}batch 4 in bf16 under {GPU_GOAL / 1e9:.0f} GB"
            known = (self.frames, self.batch) == (8, 4)
            return [Goal(what, f"{peak / 1e9:.1f} GB", peak < GPU_GOAL)] if known else []
        wanted = WARM_GOALS.get(self.frames)
        if self.size not in GOAL_SIZES or wanted is None:
            return []
        warm, cold = self.ratio(self.peer(), WARM), self.ratio(self.peer(), COLD)
        memory = self.memory(self.peer())[0] / self.memory(WARM)[0]
        steps = self.ratio(PEER_MEMORY, OURS_MEMORY)
        reached = steps.median / self.allowed
        return [
            Goal(
                f"{head}warm cache, {wanted:g} times the peer's clips/s",
                str(warm),
                warm.median >= wanted,
            ),
            Goal(
                f"{head}peak memory at most half the peer's",
                f"peer / ours {memory:.2f}",
                memory >= MEMORY_GOAL,
            ),
            Goal(
                f"{head}decoding and disk left out, 80 % of what operations allow",
                f"{steps.median:.2f} of {self.allowed:.2f}, {percent(reached, 0)}",
                reached >= LEFT_OUT_GOAL,
            ),
            Goal(
                f"{head}cold first epoch not slower than the peer's",
                f"{cold} times its clips/s",
                cold.median >= COLD_GOAL,
            ),
        ]


def answer(record: Record) -> Section:
    """Returns what `mtrans bench answer` found."""
    rows = []
    for case in record["cases"]:
        for what in (w for w in WHATS if w in case["seconds"]):
            each = case["seconds"][what]
            rows.append(
                [
                    str(case["frames"]),
                    str(case["batch"]),
                    what,
                    *(
                        f"{statistics.median(each[s]):.3f}" if s in each else NOTHING
                        for s in (OURS, PEER, BF16, EACH)
                    ),
                    *(str(_times(case, what, s) or NOTHING) for s in (PEER, BF16)),
                ]
            )
    head = ["frames", "clips", "what", "ours s", "peer s", "peer in bf16 s"]
    head += ["peer, a pass a candidate s", "peer / ours", "peer in bf16 / ours"]
    cases = record["cases"]
    lines = table(head, rows, text=3)
    lines += table(
        ["frames", "operations of clip and question, peer / ours", "of a follow-up"],
        [
            [str(n), f"{peer / ours:.2f}", f"{peer / again:.2f}"]
            for n, (peer, ours, again) in {c["frames"]: c["flops"] for c in cases}.items()
        ],
    )
    command = "mtrans bench answer" + options(
        size=record["size"],
        frames=distinct([c["frames"] for c in cases]),
        batch=distinct([c["batch"] for c in cases]),
        rounds=max(len(c["seconds"]["whole"][OURS]) for c in cases),
        words=record["words"],
    )
    return Section(command, lines, _answer_goals(record))


def _answer_goals(record: Record) -> list[Goal]:
    if record["size"] != "mid":
        return []
    wanted = (c for c in record["cases"] if (c["frames"], c["batch"]) == (ANSWER_FRAMES, 1))
    case, goals = next(wanted, None), []
    for what, times in ANSWER_GOALS.items():
        words = f"{record['size']}, {ANSWER_FRAMES} frames, {what}: at most 1/{times:g} of the peer"
        span, bf16 = (_times(case, what, s) if case else None for s in (PEER, BF16))
        told = f"1 / {span}" if span else "not timed"
        told += f"; of the peer in bf16 1 / {bf16}" if bf16 else ""
        goals.append(Goal(words, told, span.median >= times if span else None))
    return goals


def _times(case: Record, what: str, side: str) -> Span | None:
    each = case["seconds"].get(what, {})
    if OURS not in each or side not in each:
        return None
    rounds = min(len(each[OURS]), len(each[side]))
    return paired(each[side][:rounds], each[OURS][:rounds])
