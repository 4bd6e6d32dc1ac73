"""Sections of docs/BENCHMARKS.md on a training step: epoch, scale, limit."""

from __future__ import annotations

import math
import statistics
from typing import Any

from mtrans.report.benchmarks_page_parts import (
    Goal,
    Record,
    Section,
    Span,
    distinct,
    options,
    table,
)
from mtrans.report.words import NOTHING, memory, percent

WHAT = {"frames": "T, frames", "text": "L, text tokens", "batch": "B, clips"}
LONGEST = 256
"""Frames up to which growth is wanted to be linear."""

QUICK_FRAMES = [4, 16, 64]
"""What `mtrans bench scale --quick` times."""

FORETOLD_GOAL = 0.15

OPERATORS = 12
"""Operators that are shown, the longest."""


def epoch(record: Record) -> Section:
    """Returns what `mtrans bench epoch` found."""
    times = record["seconds_per_epoch"]
    spans = {r["fast"]: Span(r["median"], r["low"], r["high"]) for r in record["ratios"]}
    rows = [
        [
            case,
            ", ".join(f"{s:.2f}" for s in seconds),
            f"{record['clips'] / statistics.median(seconds):.0f}",
            str(spans.get(case, NOTHING)),
        ]
        for case, seconds in times.items()
    ]
    head = ["features from", "seconds an epoch, by round", "clips/s", "seconds, video / this"]
    told = options(
        world=record["world"],
        clips=record["clips"],
        frames=record["frames"],
        rounds=max(len(s) for s in times.values()),
    )
    about = f"{record['clips']} clips, {record['questions']} questions, {record['frames']} frames."
    return Section(f"mtrans bench epoch{told}", [about, "", *table(head, rows)])


def scale(record: Record) -> Section:
    """Returns what `mtrans bench scale` found."""
    lines = []
    for what, rows in record["points"].items():
        head = [WHAT[what], "ms a step", "memory added", "visual tokens of a clip"]
        cells = [
            [
                str(row["value"]),
                f"{1000 * row['quickest']:.1f}",
                memory(row["peak"] - row["before"]),
                str(row["visual_tokens"]),
            ]
            for row in rows
        ]
        lines += table(head, cells, text=0)
    fits = [
        [WHAT[what], _grown(fit["time"]), _grown(fit["memory"])]
        for what, fit in record["exponents"].items()
    ]
    lines += table(["in", "exponent of time", "exponent of memory"], fits)
    bend = record["frames_where_squares_are_half"]
    if bend is not None:
        lines += [f"T² of temporal attention is half of a frame's operations at T = {bend}.", ""]
    told = options(**{k: record[k] for k in ("backbone", "frames", "batch", "text")})
    frames = record["points"].get("frames", [])
    quick = " --quick" if [row["value"] for row in frames] == QUICK_FRAMES else ""
    return Section(f"mtrans bench scale{told}{quick}", lines, _scale_goals(record, frames))


def _grown(fit: Record) -> str:
    error = "" if math.isnan(fit["error"]) else f" ± {fit['error']:.2f}"
    return f"{fit['exponent']:.2f}{error} (last two points {fit['last']:.2f})"


def _scale_goals(record: Record, frames: list[dict[str, Any]]) -> list[Goal]:
    head = f"{record['backbone']}: "
    what = f"{head}step time over frames, exponent at most {record['goal']} up to {LONGEST}"
    if not frames or max(row["value"] for row in frames) < LONGEST:
        goals = [Goal(what, "not timed so far", None)]
    else:
        fit = record["exponents"]["frames"]["time"]
        goals = [Goal(what, _grown(fit), fit["exponent"] <= record["goal"])]
    tokens = sorted({row["visual_tokens"] for row in frames})
    told = (
        f"{' to '.join(str(n) for n in distinct([tokens[0], tokens[-1]]))} a clip"
        if tokens
        else NOTHING
    )
    met = len(tokens) == 1 if len(frames) > 1 else None
    return [*goals, Goal(f"{head}LLM tokens constant over frames", told, met)]


def limit(record: Record) -> Section:
    """Returns what `mtrans bench limit` found."""
    rate = record["rate"]
    speed = rate["operations"] / rate["seconds"]
    lines = [
        f"A step does {_rate(speed)} of the {_rate(rate['product_rate'])} ({rate['dtype']})"
        f" of a large matrix product: **{percent(speed / rate['product_rate'])}** of the limit; it"
        f" takes {_span(rate['ratio'])} times as long as its operations as one product.",
        "",
        *_parts(record),
        *_operators(rate),
        *_foretold(record),
        *_readings(record),
    ]
    if record["compiled"] is not None:
        made = record["compiled"]
        lines += [
            f"Compiled (`train.compile=true`) a step takes {_span(made['ratio'])} times as long:"
            f" {1000 * made['seconds']:.1f} ms, and {made['build']:.0f} s to build first.",
            "",
        ]
    told = options(**{k: record[k] for k in ("backbone", "frames", "batch", "text")})
    compiled = " --compile" if record["compiled"] is not None else ""
    return Section(f"mtrans bench limit{told}{compiled}", lines, _limit_goals(record))


def _span(ratio: Record) -> Span:
    return Span(ratio["median"], ratio["low"], ratio["high"])


def _operators(rate: Record) -> list[str]:
    """Returns the longest operators, and how much of the step are products."""
    every = rate["operators"]
    shown, left = every[:OPERATORS], every[OPERATORS:]
    rows = [(one["name"], one["calls"], one["seconds"]) for one in shown]
    if left:
        calls, seconds = (sum(one[key] for one in left) for key in ("calls", "seconds"))
        rows.append((f"{len(left)} others", calls, seconds))
    if not rows:
        return []
    products = sum(one["seconds"] for one in every if one["product"])
    lines = table(
        ["operator, without those it calls", "calls a step", "ms", "share of the step"],
        [
            [name, f"{calls:,.0f}", f"{1000 * own:.2f}", percent(own / rate["seconds"])]
            for name, calls, own in rows
        ],
    )
    return [
        *lines,
        f"Products of matrices take {percent(products / rate['seconds'])} of the step; at the rate"
        f" of the large product they would take {percent(1 / rate['ratio']['median'])}.",
        "",
    ]


def _rate(operations: float) -> str:
    return f"{operations / 1e9:,.1f} Gop/s"


def _parts(record: Record) -> list[str]:
    rate, rows = record["rate"], []
    for part in rate["parts"]:
        seconds = part["forward"] + part["backward"]
        speed = part["operations"] / seconds if part["operations"] and seconds else None
        rows.append(
            [
                part["part"],
                f"{1000 * part['forward']:.2f}",
                f"{1000 * part['backward']:.2f}",
                percent(seconds / rate["seconds"]),
                _rate(speed) if speed else NOTHING,
            ]
        )
    whole = next((r for r in record["readings"] if r["form"] == "float32"), None)
    if whole is not None:
        data = record["batch"] / whole["warm"]
        rows.append(["data, warm cache", f"{1000 * data:.2f}", "", "beside it", ""])
    rows.append(["vision, for the cache", f"{1000 * rate['vision']:.2f}", "", "once a clip", ""])
    return table(["part", "forward ms", "backward ms", "share of the step", "operations"], rows)


def _told_and_seen(record: Record) -> list[tuple[str, float, float, str, str]]:
    """Returns what was foretold and measured: name, numbers, and both in words."""
    told, seen = record["foretold"], record["measured"]
    parts = ("weights", "trained", "batch", "activations")
    # a GPU's memory holds tensors alone; a process has more around them
    room = max(told["memory"]["loading"], sum(told["memory"][part] for part in parts))
    room += told["process"] if seen["kind"] == "rss" else 0
    quick = min(seen["seconds"])
    return [
        (
            "time of a step",
            told["step"],
            quick,
            f"{1000 * told['step']:.1f} ms",
            f"{1000 * quick:.1f} ms",
        ),
        ("peak memory", room, seen["peak"], memory(room), memory(seen["peak"])),
    ]


def _foretold(record: Record) -> list[str]:
    rows = [
        [name, told, seen, f"{100 * (a / b - 1):+.1f} %"]
        for name, a, b, told, seen in _told_and_seen(record)
    ]
    return table(["a step", "foretold", "measured", "off by"], rows)


def _limit_goals(record: Record) -> list[Goal]:
    within = f"foretold within {percent(FORETOLD_GOAL, 0)}"
    return [
        Goal(
            f"{record['backbone']}: {name} {within}",
            f"{told} against {seen}, {100 * (a / b - 1):+.1f} %",
            abs(a / b - 1) <= FORETOLD_GOAL,
        )
        for name, a, b, told, seen in _told_and_seen(record)
    ]


def _readings(record: Record) -> list[str]:
    rows = []
    for r in record["readings"]:
        warm = r["warm"] * r["clip_bytes"] / r["disk_warm"]
        cold = [NOTHING, NOTHING]
        if r["cold"] is not None and r["disk_cold"]:
            cold = [f"{r['cold']:,.0f}", percent(r["cold"] * r["clip_bytes"] / r["disk_cold"])]
        size = memory(1000 * r["clip_bytes"])
        rows.append([r["form"], size, f"{r['warm']:,.0f}", percent(warm), *cold])
    head = ["cache", "1,000 clips", "clips/s warm", "of reading the files through"]
    return table([*head, "clips/s from the disk", "of the disk's speed"], rows)
