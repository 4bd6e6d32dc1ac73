"""docs/results/*/ -> docs/RESULTS.md: every study's command, tables, pictures and notes.

docs/results/<study>/
  table.md                      written by the study
  study.yaml or results.json    its plan; the description in studies/ with the same plan has the
                                command in its first lines
  provenance.json               when and on what (`mtrans study keep`)
  curve-*.svg, cost-*.svg       scores over what is varied, over costs
  notes.md, README.md           written by people
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError, SettingsError
from mtrans.core.markdown import deeper
from mtrans.report.results_ahead import ahead
from mtrans.report.results_summary import find_worlds, summary
from mtrans.study.archive import ARCHIVE
from mtrans.study.plan import StudyPlan
from mtrans.study.plan_file import plan_from_dict, read_plan

FIRST = ("physics", "physics-connectors", "talk", "talk-connectors", "ego", "kitchen")
"""Studies that come first, in this order; the others follow by name."""

HEAD = """\
# Results

Written by `make results` from the tables in docs/results/; a test holds it equal to them. Change
a study's notes in its folder, not here.

Worlds (`physics`, `talk`, `ego`, `kitchen`) are synthetic test benches with known truth: scores on
them tell designs apart and say nothing about camera footage. Each table says its clips, steps and
seeds. [a, b] are 95 % bootstrap intervals that draw whole videos with all their seeds; ± is the
standard deviation over seeds. Differences are paired by question and seed: where an interval
excludes 0, two rows differ. An interval is over clips; it treats the trained models as given, so
look at ± for how much another seed may change.
"""

PICTURES = {
    "curve": "Score on all questions over what is varied, at equal distances.",
    "cost": "Scores over costs: filled dots and the grey line are the Pareto front.",
}
"""Kind of picture -> what is said above those of a study."""

FOUND = {
    "routing": "What the routers do was looked at with `mtrans study routing STUDY`.",
    "calibration": "Confidence was measured with `mtrans study calibration STUDY`.",
}
"""Stem of a further table and its pictures -> where they are from."""

_COMMAND = re.compile(r"mtrans study run \S+ --out [\w./-]+(?: --workers \d+)?")


def results_page(results: Path, studies: Path) -> str:
    """Returns the page.

    Args:
        results: Folder with a folder for each study.
        studies: Folder of descriptions, where the commands are taken from.

    Raises:
        SettingsError: There is no such folder, or nothing in it.
    """
    if not results.is_dir():
        raise SettingsError(f"'{results}' is no folder; wanted the kept tables of studies")
    folders = [f for f in results.iterdir() if (f / "table.md").exists() or _notes(f)]
    if not folders:
        raise SettingsError(f"'{results}' holds no study; `mtrans study keep` puts one there")
    order = {name: place for place, name in enumerate(FIRST)}
    folders.sort(key=lambda f: (order.get(f.name, len(FIRST)), f.name))
    plans = _descriptions(studies)
    worlds = find_worlds(results, [plan for plan, _, _ in plans])
    lines = [HEAD, *summary(worlds), *ahead(results, worlds)]
    lines += ["## All tables", "", *(f"- [{f.name}](#{f.name})" for f in folders), ""]
    for folder in folders:
        lines += _section(folder, plans, results.name)
    return "\n".join(lines).rstrip() + "\n"


def _section(folder: Path, plans: list[tuple[StudyPlan, Path, str]], place: str) -> list[str]:
    lines = [f"## {folder.name}", ""]
    plan = _plan(folder)
    for known, file, command in plans:
        part = None if plan is None else _part(plan, known)
        if part is not None:
            lines += [f"{part}`{command}` (the plan: [{file.name}](../studies/{file.name}))", ""]
    made = folder / "provenance.json"
    if made.exists():
        lines += [_made(json.loads(made.read_text("utf-8"))), ""]
    table = folder / "table.md"
    if table.exists():
        lines += [table.read_text("utf-8").rstrip(), ""]
    for kind, words in PICTURES.items():
        pictures = sorted(folder.glob(f"{kind}-*.svg"))
        lines += [words, ""] if pictures else []
        for picture in pictures:
            lines += [f"![{picture.stem}]({place}/{folder.name}/{picture.name})", ""]
    for kind, words in FOUND.items():
        found = folder / f"{kind}.md"
        if found.exists():
            lines += [found.read_text("utf-8").rstrip(), "", words, ""]
            for picture in sorted(folder.glob(f"{kind}-*.svg")):
                lines += [f"![{picture.stem}]({place}/{folder.name}/{picture.name})", ""]
    if (folder / ARCHIVE).exists():
        words = (
            "Every run's answers are kept: `mtrans study restore {} --out STUDY` puts them back,"
        )
        more = "and the command above then runs what is missing."
        lines += [f"{words.format(f'docs/{place}/{folder.name}')} {more}", ""]
    for notes in _notes(folder):
        lines += [deeper(notes.read_text("utf-8"), 2), ""]
    return lines


def _notes(folder: Path) -> list[Path]:
    return [folder / name for name in ("notes.md", "README.md") if (folder / name).exists()]


def _made(facts: dict[str, Any]) -> str:
    """Says when and on what the runs were made."""
    day = (facts.get("from") or "?")[:10], (facts.get("to") or "?")[:10]
    when = day[0] if day[0] == day[1] else f"{day[0]} to {day[1]}"
    commits = ", ".join(facts.get("commits") or ["unknown"])
    changed = " with changes" if facts.get("changed") else ""
    if facts.get("without_commit"):
        changed += f" ({facts['without_commit']} of the runs name none)"
    if precision := facts.get("precision"):
        changed += f"; matrices in {' and '.join(precision)}"
    versions = facts.get("versions") or {}
    with_ = ", ".join(f"{k} {versions[k]}" for k in ("torch", "transformers") if k in versions)
    devices = " and ".join(facts.get("devices") or ["unknown"])
    return f"{facts['runs']} runs, {when}, on {devices}; commit {commits}{changed}; {with_}."


def _plan(folder: Path) -> StudyPlan | None:
    """Returns the plan that a kept study was run by."""
    try:
        if (folder / "study.yaml").exists():
            return read_plan(folder / "study.yaml")
        document = json.loads((folder / "results.json").read_text("utf-8"))
        return plan_from_dict(document["plan"])
    except (OSError, KeyError, MTransError):
        return None


def _part(plan: StudyPlan, known: StudyPlan) -> str | None:
    """Says what a kept plan is of a description: nothing to say of all of it; None is another one.

    Of a long study some contenders, or points of the grid, may be run and kept before the others.
    """
    plan, known = _bare(plan), _bare(known)
    if plan == known:
        return ""
    some = {name: c for name, c in known.contenders.items() if name in plan.contenders}
    if not some:
        return None
    points = {
        key: plan.vary[key] if set(plan.vary.get(key, ())) <= set(values) else values
        for key, values in known.vary.items()
        if key in plan.vary
    }
    part = replace(known, contenders=some, vary=points)
    return "Some rows of " if part == plan else None


def _bare(plan: StudyPlan) -> StudyPlan:
    """The plan without its name and what is only said of its contenders."""
    bare = {name: replace(c, about="") for name, c in plan.contenders.items()}
    return replace(plan, name="any", contenders=bare)


def _descriptions(studies: Path) -> list[tuple[StudyPlan, Path, str]]:
    """Returns plan, file and command of each description that names its command."""
    found = []
    for file in sorted(studies.glob("*.yaml")):
        command = _COMMAND.search(file.read_text("utf-8"))
        if command:
            found.append((read_plan(file), file, command.group()))
    return found
