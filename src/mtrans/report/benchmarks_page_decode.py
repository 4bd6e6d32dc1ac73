"""The section of docs/BENCHMARKS.md on getting frames out of video files."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from mtrans.report.benchmarks_page_parts import (
    Goal,
    Record,
    Section,
    Span,
    distinct,
    options,
    table,
)
from mtrans.report.words import NOTHING

OURS = "mtrans"
"""The reader, as mtrans.bench.decode_readers names it."""


def decode(record: Record) -> Section:
    """Returns what `mtrans bench decode` found."""
    rows, judged = [], []
    for case in record["cases"]:
        best = case["best"]
        span = Span(best["median"], best["low"], best["high"]) if best else None
        if span is not None:
            judged.append((span, f"{case['files']}, {case['count']} frames"))
        for reader, timed in case["readers"].items():
            ours = reader == OURS
            rates = [case["frames"] / s for s in timed["seconds"]]
            rows.append(
                [
                    case["files"] if ours else "",
                    str(case["count"]) if ours else "",
                    reader,
                    f"{statistics.median(rates):,.0f}",
                    f"{1000 * statistics.median(timed['cpu_seconds']) / case['frames']:.2f}",
                    f"{timed['peak_mb']:,.0f}",
                    f"{timed['import_mb']:,.0f}",
                    f"{span}, {best['fast']}" if ours and span else "",
                    ("yes" if span.low <= 1 else "no") if ours and span else "",
                ]
            )
    head = ["files", "frames a clip", "reader", "frames/s", "processor ms a frame", "peak MiB"]
    head += ["of it importing", "seconds, ours / best peer", "not slower"]
    lines = table(head, rows, text=3)
    lines += table(
        ["files", "reader", "frames", "another frame came", "time off by, frames", "pixels off by"],
        list(_right(record)),
        text=2,
    )
    absent = [f"- Not measured: {reader} ({why})" for reader, why in record["missing"].items()]
    for files, left_out in record["left_out"].items():
        absent += [f"- Timed with nobody: {_unread(files, *one)}" for one in left_out.items()]
    return Section(
        _decode_command(record),
        [*lines, *absent, *([""] if absent else [])],
        _decode_goals(record, judged),
    )


def _unread(files: str, file: str, why: dict[str, str]) -> str:
    return f"{file} of {files}, which {' and '.join(why)} can't read"


def _right(record: Record) -> Iterator[list[str]]:
    for files, verdicts in record["verdicts"].items():
        for reader, verdict in verdicts.items():
            yield [
                files,
                reader,
                str(verdict["frames"]),
                str(verdict["others"]),
                NOTHING if verdict["late"] is None else f"{verdict['late']:.2f}",
                f"{verdict['difference']:.2f}",
            ]


def _decode_goals(record: Record, judged: Sequence[tuple[Span, str]]) -> list[Goal]:
    what = "never slower than the best peer beyond noise: ours / best at most 1 at its low end"
    if not judged:
        goals = [Goal(what, "no peer was there", None)]
    else:
        kept = sum(span.low <= 1 for span, _ in judged)
        worst, where = max(judged, key=lambda one: one[0].low)
        told = f"{kept} of {len(judged)} cases; longest {worst}: {where}"
        goals = [Goal(what, told, kept == len(judged))]
    ours = [v[OURS] for v in record["verdicts"].values() if OURS in v]
    others, frames = (sum(v[key] for v in ours) for key in ("others", "frames"))
    told = f"{others} others of {frames} frames"
    return [*goals, Goal("the right frames", told, others == 0 if frames else None)]


def _decode_command(record: Record) -> str:
    names = distinct([case["files"] for case in record["cases"]])
    drawn = [n.removeprefix("drawn, ") for n in names if n.startswith("drawn, ")]
    folders = [f"FOLDER/{n}" for n in names if not n.startswith("drawn, ")]
    minutes = [float(n.removesuffix(" min")) for n in drawn if n.endswith(" min")]
    rounds = [len(t["seconds"]) for case in record["cases"] for t in case["readers"].values()]
    quick = " --quick" if "2 s" in drawn else ""
    given = options(videos=folders, minutes=minutes, rounds=distinct(rounds)[:1])
    return f"mtrans bench decode{given}{quick}"
