"""docs/FINDINGS.md: what kept results say of MQT, UniFusion and DAR, in sentences with intervals.

    docs/results/<study>/results.json        tables of studies
    docs/results/<study>/calibration.json    `mtrans study calibration`
    docs/results/analysis/<world>.json       `python -m mtrans.app.findings collect`

Nothing here is written by hand but the questions: whether a sentence says "yes" or "not shown"
follows from the interval. A finding whose numbers are not there names the study that gives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError
from mtrans.measure.sayings import above, below, ends, pc
from mtrans.report.findings_analysis import (
    order,
    routes,
    seeing,
    strange,
    true_maps,
    worn,
)
from mtrans.report.findings_confidence import calibration, few_clips

HEAD = """# Findings

What the analyses say about the three parts of the method, multimodal query temporal reusing (MQT),
early fusion of text (UniFusion) and routed attention (DAR), on the synthetic worlds with the
embedded model `tiny`. Written by `make findings` from the tables in `docs/results/`; do not edit.
Intervals hold with 95 %, whole clips drawn anew; seeds of a contender are pooled. The worlds tell
designs apart; nothing here is about camera footage.
"""

PARTS = {
    "no-mqt": "MQT",
    "no-fusion": "UniFusion",
    "no-dar": "DAR",
    "no-mixing": "patch mixing",
    "no-fusion-no-dar": "UniFusion and DAR",
    "no-mqt-no-dar": "MQT and DAR",
    "no-mqt-moments": "MQT, with the pool kept",
    "no-mqt-no-fusion": "MQT and UniFusion",
    "none": "all four",
}
"""Contenders of the ablation studies, and what they lack."""


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        title: What was asked.
        lines: Sentences, each a list item.
        table: Head and rows; empty without.
        command: What gives its numbers.
    """

    title: str
    lines: Sequence[str]
    table: Sequence[Sequence[str]] = ()
    command: str = ""


WHOLE = "mtrans study run PLAN.yaml --out STUDY (which plan: docs/RESULTS.md)"


def findings(folder: Path) -> str:
    """Returns the page.

    Args:
        folder: ``docs/results``.

    Raises:
        MTransError: A file is damaged, or there is none.
    """
    studies = [d for d in _read(folder.rglob("results.json")) if d.get("rows")]
    analyses = _read(folder.glob("analysis/*.json"))
    places = sorted(folder.glob("*/calibration.json"))
    curves = list(zip((path.parent.name for path in places), _read(iter(places)), strict=True))
    if not studies and not analyses:
        raise MTransError(f"'{folder}' holds no results.json and no analysis/*.json")
    parts = [Finding(*f) for d in analyses for f in order(d)]
    parts += [*_whole(studies), _ablation(studies), *_choices(studies)]
    for make in (seeing, routes, worn, calibration, true_maps, strange):
        parts += [Finding(*f) for d in analyses for f in make(d)]
        if make is calibration:
            parts += [Finding(*f) for name, d in curves for f in few_clips(d, name)]
    made = "".join(_made(d) for d in analyses)
    return HEAD + made + "".join(_text(n, part) for n, part in enumerate(parts, 1))


def _made(document: Mapping[str, Any]) -> str:
    made = document.get("made") or {}
    if not made.get("date"):
        return ""
    commits = f" of commit {', '.join(made['commits'])}" if made["commits"] else ""
    return f"\nAnalyses of `{document['data']}`: runs of {made['date']}{commits}.\n"


def _read(paths: Iterator[Path]) -> list[dict[str, Any]]:
    out = []
    for path in sorted(paths):
        try:
            out.append(dict(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            raise MTransError(f"'{path}' is damaged ({error}); make it again") from error
    return out


def _text(number: int, part: Finding) -> str:
    lines = [f"\n## {number}. {part.title}\n\n", *(f"- {line}\n" for line in part.lines)]
    if part.table:
        head, *rows = part.table
        lines += [f"\n| {' | '.join(head)} |\n", "|---" * len(head) + "|\n"]
        lines += [f"| {' | '.join(row)} |\n" for row in rows]
    if part.command:
        lines.append(f"\nCommand: `{part.command}`\n")
    return "".join(lines)


Compared = tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]
"""A data set as a plan describes it, and a study's rows on it, `mtrans` first."""


def _whole(studies: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """What the whole method is worth against contenders, one finding a data set."""
    known = list(_compared(studies))
    for place, (data, rows) in enumerate(known):
        mine, rest = _told(data, rows), known[:place] + known[place + 1 :]
        # another study's table says all of this and more
        if any(mine < _told(*other) for other in rest) or mine in (
            _told(*other) for other in known[:place]
        ):
            continue
        first = rows[0]["overall"]
        # nothing is guessed where answers are written
        guess = "" if first["chance"] is None else f"; guessing gives {pc(first['chance'])}"
        lines = [
            f"`mtrans`, the whole method, is right in {_score(first)} of {first['n']} answers of"
            f" {len(rows[0]['seeds'])} seeds{guess}."
        ]
        lines += [_against(r) for r in rows if r["against"]]
        lines += _unlearned(rows[0])
        clips = f"{data.get('train')} training clips"
        named = f"; {data['name']}-{data['study']} of docs/RESULTS.md" if data["study"] else ""
        title = f"What the whole method is worth on `{data['name']}` ({clips}{named})"
        yield Finding(title, lines, command=WHOLE)


def _compared(studies: Sequence[Mapping[str, Any]]) -> Iterator[Compared]:
    """Yields data sets of studies that compare whole designs; transfer asks something else."""
    whole = [d for d in studies if not d["plan"].get("transfer")]
    for document, data in ((d, data) for d in whole for data in d["plan"]["data"]):
        rows = [r for r in document["rows"] if r["data"] == data["name"] and not r["point"]]
        names = {r["contender"] for r in rows}
        ablation = document["plan"].get("name") == "ablation" or names & set(PARTS)
        # differences are against the first row
        if any(r["against"] for r in rows) and rows[0]["contender"] == "mtrans" and not ablation:
            yield {**data, "study": document["plan"].get("name")}, rows


def _told(data: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    """Returns what a finding says: of which data, whose scores."""
    about = (data["name"], data.get("train"))
    return {(*about, r["contender"], r["overall"]["value"], tuple(r["seeds"])) for r in rows}


def _against(row: Mapping[str, Any]) -> str:
    gap = row["against"]
    size = f"{100 * gap['difference']:+.1f} points{_reach(gap, ' (', ' to ', ')')}"
    shown = "" if above(gap["low"], 0) or below(gap["high"], 0) else "; no difference is shown"
    return f"`{row['contender']}`: {_score(row['overall'])}, {size} against it{shown}."


def _unlearned(row: Mapping[str, Any]) -> list[str]:
    """The negative part: types of question on which guessing does as well."""
    lines = []
    for name, score in row["types"].items():
        if score["chance"] is not None and not above(score["low"], score["chance"]):
            kind = name.replace("_", " ")
            lines.append(
                f"Not learned: {kind}, {_score(score)}, where guessing gives {pc(score['chance'])}."
            )
    return lines


def _ablation(studies: Sequence[Mapping[str, Any]]) -> Finding:
    """What is lost without a part, or without two or more of them."""
    title = "What each part is worth: switched off one at a time and together"
    command = "mtrans study run studies/ablation-WORLD.yaml --out STUDY"
    head = ["world", "steps", "without", "accuracy", "difference in points", "verdict"]
    rows = [
        [row["data"], _steps(d, row), PARTS[row["contender"]], _score(row["overall"]), *_cost(row)]
        for d, row in _paired(studies)
        if row["contender"] in PARTS
    ]
    if not rows:
        line = "Not measured yet: no kept results.json has the contenders of the ablation studies."
        return Finding(title, [line], command=command)
    return Finding(
        title, ["Differences are paired, against the whole method."], [head, *rows], command
    )


def _choices(studies: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """What another choice within a part would have given, one finding a data set of an ablation."""
    head = ["row", "what is other", "accuracy", "difference in points", "verdict"]
    for document in studies:
        plan, about = document["plan"], document["plan"].get("contenders") or {}
        if not str(plan.get("name")).startswith("ablation"):
            continue
        found: dict[str, list[list[str]]] = {}
        for _, row in _paired([document]):
            name = row["contender"]
            if name in about and name not in PARTS:
                what = [f"`{name}`", about[name].get("about", "")]
                cells = [*what, _score(row["overall"]), *_cost(row)]
                found.setdefault(row["data"], []).append(cells)
        for data, rows in found.items():
            trained = _steps(document, {"data": data})
            title = f"What another choice would have given (`{data}`, {trained} questions)"
            line = "Differences are paired, against `mtrans` as it is."
            command = (
                f"mtrans study run PLAN.yaml --out STUDY ({data}-{plan['name']} of docs/RESULTS.md)"
            )
            yield Finding(title, [line], [head, *rows], command)


def _paired(
    studies: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yields studies with each of their rows that stands against another, curves left out."""
    for document in studies:
        for row in document["rows"]:
            if row["against"] and not row["point"]:
                yield document, row


def _steps(document: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Says how long a row was trained: a data set may have its own numbers."""
    plan = document["plan"]
    data: Mapping[str, Any] = next((d for d in plan["data"] if d["name"] == row["data"]), {})
    steps, batch = (data.get(key) or plan.get(key) for key in ("steps", "batch"))
    return f"{steps} of {batch}" if steps and batch else ""


def _cost(row: Mapping[str, Any]) -> list[str]:
    """Returns the difference with its interval, and what may be said of it."""
    gap = row["against"]
    gains = "gains" if above(gap["low"], 0) else "not shown"
    verdict = "costs" if below(gap["high"], 0) else gains
    return [f"{100 * gap['difference']:+.1f}{_reach(gap, ' [', ', ', ']')}", verdict]


def _reach(gap: Mapping[str, Any], start: str, between: str, end: str) -> str:
    """Says the interval of a difference; nothing where a single video allows none."""
    low, high = gap["low"], gap["high"]
    if low is None or high is None:
        return ""
    return f"{start}{100 * low:+.1f}{between}{100 * high:+.1f}{end}"


def _score(score: Mapping[str, Any]) -> str:
    return f"{pc(score['value'])}{ends(score['low'], score['high'])}"
