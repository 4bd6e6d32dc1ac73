"""docs/results/bench/ -> docs/BENCHMARKS.md: what was measured, beside what was wanted.

docs/results/bench/
  <name>.json     what a benchmark wrote; the name is the benchmark's, or begins with it: scale-mid
  <name>.md       notes written by people: what bounds it, what to try next. Where they hold
                  `mtrans bench ...` in backticks as their first line, this is the record's command

Whether a goal is met follows from the numbers; nothing else is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import SettingsError
from mtrans.core.markdown import deeper
from mtrans.report.benchmarks_page_decode import decode
from mtrans.report.benchmarks_page_parts import Goal, Make, Record, Section, table
from mtrans.report.benchmarks_page_peers import answer, train
from mtrans.report.benchmarks_page_rounding import rounding
from mtrans.report.benchmarks_page_step import epoch, limit, scale

HEAD = """\
# Benchmarks

Written by `make benchmarks` from the figures in docs/results/bench/; a test holds it equal to
them. Do not edit; notes are in that folder. What is compared ran side by side, in turns, on one
machine; ratios are medians over rounds or steps, lowest and highest in parentheses. Whether a goal
is met is computed from the figures on this page.
"""

SECTIONS: Mapping[str, tuple[Make, str]] = {
    "decode": (decode, "Getting 4, 8 and 32 frames of a clip out of video files."),
    "train": (
        train,
        "Training steps of `adapt` beside transformers' InstructBLIP-Video with a PEFT adapter and"
        " `Trainer`, which decodes and encodes each clip when it comes up. Both compute under bf16"
        " autocast where the device is fast at it; the peer's weights are in fp32 on a processor."
        " The faster of the peer's two ways (with and without background processes) is what ours is"
        " held against.",
    ),
    "answer": (
        answer,
        "Seconds until the answer is there, from the file, and of another question on the same"
        " clip; the peer keeps its pixels in memory for that. On a processor the peer computes in"
        " the checkpoint's fp32, as users have it who load it and ask for nothing else; goals are"
        " held against this one. Where bf16 is faster, the peer loaded in bf16 stands beside it.",
    ),
    "scale": (scale, "How a training step grows with frames, text and batch."),
    "limit": (limit, "A training step against what the device can do."),
    "rounding": (
        rounding,
        "What matrices in bf16 and features in 16 and 8 bit do to the answers of finished runs.",
    ),
    "epoch": (epoch, "An epoch of `adapt` from video, and from the feature cache."),
}
"""Benchmarks in the page's order."""

_COMMAND = re.compile(r"`(mtrans bench (\w+)[^`]*)`\s*")


def benchmarks_page(kept: Path) -> str:
    """Returns the page.

    Args:
        kept: Folder of records and notes.

    Raises:
        SettingsError: There is no such folder, a record is damaged or of no known benchmark, or
            notes belong to none.
    """
    if not kept.is_dir():
        raise SettingsError(f"'{kept}' is no folder; wanted what `mtrans bench` wrote, and notes")
    records = {file.stem: _read(file) for file in sorted(kept.glob("*.json"))}
    notes = {file.stem: file.read_text("utf-8") for file in sorted(kept.glob("*.md"))}
    for name in notes:
        if name not in records and name not in SECTIONS:
            wanted = ", ".join([*records, *SECTIONS])
            raise SettingsError(f"'{kept / name}.md' belongs to no record; wanted one of {wanted}")
    goals: list[tuple[str, Goal]] = []
    lines: list[str] = []
    for kind, (make, about) in SECTIONS.items():
        lines += [f"## {kind}", "", about, ""]
        names = [name for name, record in records.items() if record["benchmark"] == kind]
        if kind not in names and kind in notes:
            lines += [deeper(notes[kind], 2), ""]
        if not names:
            lines += ["Not measured yet.", ""]
        for name in names:
            section = _made(kept / f"{name}.json", make, records[name])
            goals += [(name, goal) for goal in section.goals]
            lines += _section(name, records[name], section, notes.get(name, ""))
    return "\n".join([HEAD, *_summary(goals), *lines]).rstrip() + "\n"


def _read(file: Path) -> dict[str, Any]:
    try:
        record = dict(json.loads(file.read_text("utf-8")))
        kind = record["benchmark"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingsError(f"'{file}' is damaged ({error}); run its benchmark again") from error
    if kind not in SECTIONS or not re.fullmatch(rf"{kind}(-.+)?", file.stem):
        raise SettingsError(
            f"'{file}' holds a record of '{kind}'; wanted one of {', '.join(SECTIONS)}, and the"
            " file's name to begin with it"
        )
    return record


def _made(file: Path, make: Make, record: Record) -> Section:
    try:
        return make(record)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SettingsError(
            f"'{file}' is of another version, or cut short ({error!r}); run its benchmark again"
        ) from error


def _summary(goals: Sequence[tuple[str, Goal]]) -> list[str]:
    """Returns all goals with their verdicts."""
    lines = ["## Goals", ""]
    if not goals:
        return [*lines, "Nothing is measured yet.", ""]
    met = sum(goal.met is True for _, goal in goals)
    timed = sum(goal.met is not None for _, goal in goals)
    lines += [f"{met} of {timed} measured goals are met.", ""]
    rows = [[f"[{name}](#{name})", g.what, g.measured, g.verdict] for name, g in goals]
    return lines + table(["record", "goal", "measured", "verdict"], rows, text=4)


def _section(name: str, record: Record, section: Section, notes: str) -> list[str]:
    kind, command = record["benchmark"], section.command
    given = _COMMAND.match(notes)
    if given is not None:
        if given[2] != kind:
            raise SettingsError(f"notes of '{name}' begin with `{given[1]}`; wanted bench {kind}")
        command, notes = given[1], notes[given.end() :]
    # the only record of a benchmark needs no heading of its own
    head = [] if name == kind else [f"### {name}", ""]
    lines = [*head, f"`{command}`", "", _machine(record), ""]
    if section.goals:
        rows = [[goal.what, goal.measured, goal.verdict] for goal in section.goals]
        lines += table(["goal", "measured", "verdict"], rows, text=3)
    lines += section.lines
    return [*lines, deeper(notes, 2), ""] if notes.strip() else lines


def _machine(record: Mapping[str, Any]) -> str:
    """Says on what it was measured, and when and from which commit where the record knows."""
    machine, git = record["machine"], record.get("git") or {}
    device = machine["accelerator"] or "no accelerator"
    able = f" ({machine['instructions']})" if machine.get("instructions") else ""
    when = f", {record['date'][:10]}" if record.get("date") else ""
    commit = f", commit {git['commit'][:7]}" if git.get("commit") else ""
    return (
        f"Measured on {machine['processor']}{able}, {machine['threads']} threads, {device}; Python"
        f" {machine['python']}, torch {machine['torch']}, mtrans {machine['mtrans']}{commit}{when}."
    )
