"""The top of docs/RESULTS.md: every design on every world, and whether the hypothesis held.

docs/results/*/results.json   the kept rows of designs that a plan takes by name
studies/*.yaml                which designs are meant to be compared on which world

Of several kept studies of a world the one with most designs counts, so that every column is of the
same clips, frames and steps. Nothing here is judged by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError
from mtrans.measure.units import shown
from mtrans.study.parts import CONTENDERS, Data
from mtrans.study.plan import FLOORS, StudyPlan
from mtrans.study.plan_file import plan_from_dict

OURS = "mtrans"

WORLDS = ("physics", "talk", "ego", "kitchen")
"""In the order of the columns; others follow by name."""

BLIND = ("text", *FLOORS)
"""Rows that see no frame, whatever their number of visual tokens."""

HYPOTHESIS = """\
**Hypothesis**, written down before the studies were run: on each world `mtrans` (connector `mqt`)
is first or within one standard error of first, with the fewest visual tokens.
"""

EXPLAINED = """\
% right of all questions, mean over seeds, standard error over clips in brackets. **Bold**: first,
or within one standard error of first. Empty: not run yet. What the designs are:
[connectors.md](connectors.md); what the parts of `mtrans` are worth: [FINDINGS.md](FINDINGS.md).
"""


@dataclass(frozen=True)
class World:
    """The designs' rows on one world.

    Attributes:
        name: The world.
        study: Folder of the kept study they are from; empty where nothing is kept.
        frames: Frames of a clip.
        seeds: Seeds planned.
        rows: Contender -> its row of results.json.
        wanted: Designs that are meant to be compared, the finished ones included.
        provisional: Those whose search is not over, or that ran with settings of another day.
    """

    name: str
    study: str
    frames: int | None
    seeds: int
    rows: Mapping[str, Mapping[str, Any]]
    wanted: Sequence[str]
    provisional: Sequence[str] = ()

    def value(self, name: str) -> float | None:
        """Returns a design's score on all questions."""
        return self.rows[name]["overall"]["value"] if name in self.rows else None

    @property
    def ranked(self) -> list[str]:
        """The designs, best first."""
        return sorted(self.rows, key=lambda name: -self.rows[name]["overall"]["value"])

    def leads(self, name: str) -> bool:
        """Says whether a design is first or within one standard error of first."""
        if name not in self.rows:
            return False
        first = self.rows[self.ranked[0]]["overall"]
        reach = first["standard_error"] or 0.0
        return bool(self.rows[name]["overall"]["value"] >= first["value"] - reach)

    def tokens(self, name: str) -> int:
        """Returns a design's visual tokens; 0 where the LLM sees none, or it is not known."""
        return round(self.rows[name]["cost"].get("visual_tokens", 0))


def find_worlds(results: Path, plans: Iterable[StudyPlan]) -> list[World]:
    """Returns the worlds on which designs are compared, those without a kept row included.

    Args:
        results: Folder with a folder for each kept study.
        plans: The descriptions.

    Raises:
        MTransError: A results.json is damaged.
    """
    wanted: dict[str, list[str]] = {}
    for plan in plans:
        for data in _compared(plan):
            names = [*wanted.get(data.name, ()), *_plain(plan), *plan.floors]
            wanted[data.name] = list(dict.fromkeys(names))
    found: dict[str, World] = {}
    for file in sorted(results.glob("*/results.json")):
        for world in _kept(file, wanted):
            there = found.get(world.name)
            if there is None or len(world.rows) > len(there.rows):
                found[world.name] = world
    for name, names in wanted.items():
        found.setdefault(name, World(name, "", None, 0, {}, names))
    order = {name: place for place, name in enumerate(WORLDS)}
    return sorted(found.values(), key=lambda w: (order.get(w.name, len(WORLDS)), w.name))


def _kept(file: Path, wanted: Mapping[str, Sequence[str]]) -> Iterator[World]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if "plan" not in document:
            return  # not of a study
        plan = plan_from_dict(document["plan"])
        rows = document["rows"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MTransError(f"'{file}' is damaged ({error}); `mtrans study keep` again") from error
    names = {*_plain(plan), *plan.floors}
    for data in _compared(plan):
        mine = {r["contender"]: r for r in rows if r["data"] == data.name}
        mine = {name: row for name, row in mine.items() if name in names}
        if OURS in mine:
            provisional = [r[1] for r in document.get("provisional", ()) if r[0] == data.name]
            yield World(
                name=data.name,
                study=file.parent.name,
                frames=plan.budget(data)[0],
                seeds=len(plan.seeds),
                rows=mine,
                wanted=wanted.get(data.name, list(mine)),
                provisional=provisional,
            )


def _compared(plan: StudyPlan) -> list[Data]:
    """Returns the worlds that a plan compares designs on, as they are: no curve, no transfer."""
    if plan.vary or plan.transfer or OURS not in _plain(plan) or len(_plain(plan)) < 2:
        return []
    return [d for d in plan.data if d.world == d.name and not d.types]


def _plain(plan: StudyPlan) -> list[str]:
    """Returns the contenders that are what their names say, without settings of their own."""
    return [
        name
        for name, contender in plan.contenders.items()
        if replace(contender, about="", search={}) == CONTENDERS.get(name)
    ]


def summary(worlds: Sequence[World]) -> list[str]:
    """Returns the lines of the summary: hypothesis, whether it held, the table of designs."""
    if not any(world.rows for world in worlds):
        return []
    told = [_sentence(worlds), ""]
    return ["## In short", "", HYPOTHESIS, *told, *_verdicts(worlds), "", *_designs(worlds), ""]


def _sentence(worlds: Sequence[World]) -> str:
    run = [w for w in worlds if w.rows]
    first = [w for w in run if w.ranked[0] == OURS]
    near = [w for w in run if w.leads(OURS) and w not in first]
    behind = [w for w in run if not w.leads(OURS)]
    parts = [
        f"{words} {_names(w.name for w in some)}"
        for words, some in (
            ("is first on", first),
            ("is within one standard error of first on", near),
            ("is behind on", behind),
        )
        if some
    ]
    told = f"`{OURS}` {' and '.join(parts)}."
    if idle := [w.name for w in worlds if not w.rows]:
        told += f" Not run yet: {_names(idle)}."
    return told


def _verdicts(worlds: Sequence[World]) -> list[str]:
    heads = ["world", f"`{OURS}`", "best other", f"`{OURS}` minus it, paired"]
    heads += [f"visual tokens of `{OURS}`", "hypothesis"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for world in worlds:
        if not world.rows:
            lines.append(f"| {world.name} |" + " |" * (len(heads) - 2) + " not run yet |")
            continue
        others = [name for name in world.ranked if name != OURS]
        best = f"`{others[0]}` {_score(world, others[0])}"
        cells = [world.name, _score(world, OURS), best, _gap(world, others[0])]
        lines.append(f"| {' | '.join([*cells, _tokens(world), _verdict(world)])} |")
    return lines


def _verdict(world: World) -> str:
    """Says whether the hypothesis held, and on how many designs that rests."""
    reasons = []
    if not world.leads(OURS):
        reasons.append(f"`{world.ranked[0]}` is more than one standard error ahead")
    if fewer := _fewer(world):
        reasons.append(f"{_names(fewer)} has fewer visual tokens")
    told = f"fails: {'; '.join(reasons)}" if reasons else "holds"
    others = [name for name in world.wanted if name not in (OURS, *FLOORS)]
    there = sum(name in world.rows for name in others)
    return told if there == len(others) else f"{told} so far: {there} of {len(others)} others run"


def _seeing(world: World) -> list[str]:
    """Returns the others that show the LLM a clip."""
    return [n for n in world.rows if n not in (OURS, *BLIND) and world.tokens(n)]


def _fewer(world: World) -> list[str]:
    return [name for name in _seeing(world) if world.tokens(name) < world.tokens(OURS)]


def _tokens(world: World) -> str:
    mine = world.tokens(OURS)
    same = [name for name in _seeing(world) if world.tokens(name) == mine]
    return f"{mine}, as many as {_names(same)}" if same else str(mine)


def _gap(world: World, other: str) -> str:
    """Returns our score minus another's, as the study has compared them."""
    gap = world.rows[other].get("against")
    if not gap or world.rows[other].get("reference") != OURS:
        return ""
    ends = [gap["difference"], gap["high"], gap["low"]]
    cells = [shown(gap["metric"], -e, signed=True) for e in ends if e is not None]
    return f"{cells[0]} [{cells[1]}, {cells[2]}]" if len(cells) == 3 else cells[0]


def _designs(worlds: Sequence[World]) -> list[str]:
    frames = sorted({w.frames for w in worlds if w.frames})
    tokens = "visual tokens"
    if len(frames) > 1:
        tokens += f" ({', '.join(map(str, frames))} frames)"
    heads = ["design", tokens, "trained parameters", *(w.name for w in worlds)]
    lines = [EXPLAINED, f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    names = dict.fromkeys(name for w in worlds for name in (*w.rows, *w.wanted))
    for name in sorted(names, key=lambda n: [-(w.value(n) or 0.0) for w in worlds]):
        cells = [f"`{name}`", _amounts(worlds, name, "visual_tokens")]
        cells += [_amounts(worlds, name, "trained_parameters")]
        lines.append(f"| {' | '.join([*cells, *(_cell(w, name) for w in worlds)])} |")
    chance = [_chance(world) for world in worlds]
    lines.append(f"| {' | '.join(['chance', '', '', *chance])} |")
    told = [
        f"`{w.name}`: [{w.study}](#{w.study}), {w.frames} frames, {w.seeds} seeds"
        for w in worlds
        if w.rows
    ]
    return [*lines, "", f"From {'; '.join(told)}."]


def _amounts(worlds: Sequence[World], name: str, cost: str) -> str:
    """Returns a cost on the worlds, once where it is the same on all."""
    known = {
        round(w.rows[name]["cost"][cost])
        for w in worlds
        if name in w.rows and cost in w.rows[name]["cost"]
    }
    return ", ".join(f"{amount:,}" for amount in sorted(known))


def _cell(world: World, name: str) -> str:
    if name not in world.rows:
        return ""
    cell = f"**{_score(world, name)}**" if world.leads(name) else _score(world, name)
    seeds = len(world.rows[name]["seeds"])
    lacks = [f"{seeds} of {world.seeds} seeds"] if 0 < seeds < world.seeds else []
    lacks += ["provisional"] if name in world.provisional else []
    return f"{cell} ({', '.join(lacks)})" if lacks else cell


def _score(world: World, name: str) -> str:
    score = world.rows[name]["overall"]
    cell = shown(score["metric"], score["value"])
    error = score["standard_error"]
    return cell if error is None else f"{cell} ({shown(score['metric'], error)})"


def _chance(world: World) -> str:
    for row in world.rows.values():
        if row["overall"]["chance"] is not None:
            return shown(row["overall"]["metric"], row["overall"]["chance"])
    return ""


def _names(names: Iterable[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
