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
            peak, beyond = part.memory(case)
            seconds = statistics.median(part.clip_seconds(case))
            rows.append(
                [
                    f"{part.size}, {part.frames} frames, batch {part.batch}",
                    case,
                    f"{1 / seconds:.2f}",
                    f"{part.batch * seconds:.3g}",
                    f"{peak:,.0f}",
                    f"{beyond:,.0f}",
                    str(part.cases[case][0]["visual_tokens"]),
                ]
            )
    head = ["model", "case", "clips/s", "s a step", "peak MiB", "beyond the loaded model"]
    lines = table([*head, "LLM tokens of a clip"], rows, text=2)
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
    return Section(_train_command(parts), lines, [g for p in parts for g in p.goals()])


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
        self.cases: dict[str, list[dict[str, Any]]] = record["cases"]
        self.allowed = record["flops"][1] / record["flops"][0]

    def clip_seconds(self, case: str) -> list[float]:
        found = []
        for made in self.cases[case]:
            clips = self.batch * (1 + len(made["seconds"]))
            prepare = made["prepare_seconds"] / clips
            found += [s / self.batch + prepare for s in made["seconds"]]
        return found

    def memory(self, case: str) -> tuple[float, float]:
        made = max(self.cases[case], key=lambda m: float(m["peak_mb"]))
        return made["peak_mb"], max(made["peak_mb"] - made["loaded_mb"], 0.0)

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
                        for s in (OURS, PEER, EACH)
                    ),
                    str(_times(case, what) or NOTHING),
                ]
            )
    head = ["frames", "clips", "what", "ours s", "peer s", "peer, a pass a candidate s"]
    cases = record["cases"]
    lines = table([*head, "peer / ours"], rows, text=3)
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
        span = _times(case, what) if case else None
        told = f"1 / {span}" if span else "not timed"
        goals.append(Goal(words, told, span.median >= times if span else None))
    return goals


def _times(case: Record, what: str) -> Span | None:
    each = case["seconds"].get(what, {})
    if OURS not in each or PEER not in each:
        return None
    rounds = min(len(each[OURS]), len(each[PEER]))
    return paired(each[PEER][:rounds], each[OURS][:rounds])
