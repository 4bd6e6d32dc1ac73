"""What is ahead of `mtrans` in other kept studies of the same clips, frames and steps.

The summary compares designs as their names say; ablations and variants have rows of their own, and
one that is better must not be found only by who reads to the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError
from mtrans.measure.units import shown
from mtrans.report.results_summary import OURS, World
from mtrans.study.plan import StudyPlan
from mtrans.study.plan_file import plan_from_dict


def ahead(results: Path, worlds: Sequence[World]) -> list[str]:
    """Returns the lines that name them; none where nothing is.

    Args:
        results: Folder with a folder for each kept study.
        worlds: Those of the summary.

    Raises:
        MTransError: A results.json is damaged.
    """
    told = [line for world in worlds if world.rows for line in _ahead_on(results, world)]
    if not told:
        return []
    return [f"Ahead of `{OURS}` elsewhere, with the same clips, frames and steps:", "", *told, ""]


def _ahead_on(results: Path, world: World) -> Iterator[str]:
    here = _read(results / world.study / "results.json")
    for file in sorted(results.glob("*/results.json")):
        there = _read(file)
        if file.parent.name == world.study or here is None or there is None:
            continue
        if _clips(here[0], world.name) != _clips(there[0], world.name):
            continue
        for row in there[1]["rows"]:
            gap = row["against"]
            mine = row["data"] == world.name and row["reference"] == OURS and not row["point"]
            if mine and gap and gap["low"] is not None and gap["low"] > 0:
                yield _line(world, file.parent.name, row)


def _line(world: World, study: str, row: dict[str, Any]) -> str:
    gap, score = row["against"], row["overall"]
    ends = [shown(gap["metric"], gap[k], signed=True) for k in ("difference", "low", "high")]
    tokens = row["cost"].get("visual_tokens")
    price = "" if tokens is None else f", {round(tokens)} visual tokens"
    return (
        f"- `{world.name}`: `{row['contender']}` of [{study}](#{study}),"
        f" {shown(score['metric'], score['value'])} %{price}:"
        f" {ends[0]} [{ends[1]}, {ends[2]}] against `{OURS}` there."
    )


def _clips(plan: StudyPlan, world: str) -> tuple[Any, ...] | None:
    for data in plan.data:
        if data.name == world:
            drawn = (data.world, data.train, data.test, data.seed, data.size, data.seconds)
            return (*drawn, data.types, *plan.budget(data))
    return None


def _read(file: Path) -> tuple[StudyPlan, dict[str, Any]] | None:
    """Returns a kept study; None where the file is of something else."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return (plan_from_dict(document["plan"]), document) if "plan" in document else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MTransError(f"'{file}' is damaged ({error}); `mtrans study keep` again") from error
