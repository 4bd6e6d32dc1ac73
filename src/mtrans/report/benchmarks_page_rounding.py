"""The section of docs/BENCHMARKS.md on rounding: what 16 and 8 bit do to answers."""

from __future__ import annotations

from mtrans.report.benchmarks_page_parts import Goal, Record, Section, options, table
from mtrans.report.words import NOTHING, memory, percent, points, signed


def rounding(record: Record) -> Section:
    """Returns what `mtrans bench rounding` found."""
    error = record["standard_error"]
    spread = "" if error is None else f" ± {points(error)}"
    about = (
        f"Exactly, weights and features in fp32: {record['metric'].replace('_', ' ')}"
        f" {points(record['exact'])}{spread} % of {record['questions']} questions by"
        f" {len(record['runs'])} runs (± standard error)."
    )
    rows = [
        [
            case["case"],
            percent(case["value"]),
            f"{signed(case['difference'], 2)}{_between(case)}",
            percent(case["changed"], 2),
        ]
        for case in record["cases"]
    ]
    head = ["rounded", "right", "difference in points", "answers that changed"]
    lines = [about, "", *table(head, rows)]
    forms = list(next(iter(record["bytes"].values())))
    sizes = [
        [frames, *(memory(taken[form]) for form in forms)]
        for frames, taken in record["bytes"].items()
    ]
    lines += ["1,000 clips of InstructBLIP (257 patches of width 1408 a frame) take:", ""]
    lines += table(["frames a clip", *forms], sizes)
    told = options(run=record["runs"])
    return Section(f"mtrans bench rounding --data TEST.jsonl{told}", lines, _goals(record))


def _between(case: Record) -> str:
    if case["low"] is None:
        return ""
    return f" ({signed(case['low'], 2)} to {signed(case['high'], 2)})"


def _goals(record: Record) -> list[Goal]:
    what = "features in 8 bit change accuracy by less than half a standard error"
    case = next(c for c in record["cases"] if c["case"] == "features in 8 bit")
    error = record["standard_error"]
    if error is None:
        return [Goal(what, NOTHING, None)]
    moved = f"{signed(case['difference'], 2)} points; standard error {points(error, 2)}"
    return [Goal(what, moved, abs(case["difference"]) < error / 2)]
