"""A study's tables, kept where they can be read without its runs: docs/results/<name>/.

runs/<study>/[tables/<plan>/]   --keep-->   docs/results/<name>/
  table.md table.csv cost.csv                 the same, no weights, no answers
  results.json transfer.csv                   cost-<data>-<cost>.svg curve-<data>-<setting>.svg
  study.yaml                                  provenance.json: when, on what, which commits
  runs.tar.xz                                 the runs' answers, where asked for (study/archive.py)
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from mtrans.core.files import make_folder, write_text
from mtrans.study.archive import ARCHIVE, pack
from mtrans.study.collect import choose
from mtrans.study.jobs import StudyError, measurable
from mtrans.study.plan import StudyPlan
from mtrans.study.run import PLAN_FILE, tables_of
from mtrans.train.run_folder import RunFolder

TABLES = (
    "table.md",
    "table.csv",
    "results.json",
    "cost.csv",
    "transfer.csv",
    "routing.md",
    "routing.csv",
    "calibration.md",
    "calibration.json",
)
"""Files that are kept as they are, where a study has them."""

PROVENANCE = "provenance.json"


def keep(plan: StudyPlan, folder: Path, place: Path, *, answers: bool = False) -> Path:
    """Copies the tables of a published study.

    Args:
        plan: The study.
        folder: Its folder.
        place: Where they go; what is there of an earlier time is replaced.
        answers: Also pack what the runs answered, with questions and clips' names: enough to
            compute the tables again, and to go on with the study elsewhere.

    Returns:
        `place`.

    Raises:
        StudyError: It has no tables yet.
    """
    source = tables_of(plan, folder)
    if not (source / "table.md").exists():
        raise StudyError(f"'{source}' has no table yet; `mtrans study show {folder}` writes it")
    make_folder(place)
    for old in (*place.glob("*-*.svg"), *(place / name for name in (*TABLES, PLAN_FILE, ARCHIVE))):
        old.unlink(missing_ok=True)
    # the plan of somebody's own clips says where they lie, which is nobody else's business
    plans = (PLAN_FILE,) if all(data.world for data in plan.data) else ()
    for name in (*TABLES, *plans):
        if (source / name).exists():
            shutil.copyfile(source / name, place / name)
    for picture in source.glob("*.svg"):
        shutil.copyfile(picture, place / picture.name)
    write_text(place / PROVENANCE, json.dumps(provenance(plan, folder), indent=1) + "\n")
    if answers:
        pack(finished_runs(plan, folder), folder, place / ARCHIVE)
    return place


def finished_runs(plan: StudyPlan, folder: Path) -> list[RunFolder]:
    """Returns the runs of a study that its tables are made from, searches included."""
    found = []
    for variant in plan.variants():
        chosen = choose(plan, variant, folder)[0]
        tried = [(plan.seeds[0], values) for values in variant.candidates]
        tried += [(seed, chosen) for seed in plan.seeds[1:]] if chosen is not None else []
        for seed, values in tried:
            run = RunFolder(folder / plan.job(variant, values, seed, folder).name)
            if measurable(run):
                found.append(run)
    return found


def provenance(plan: StudyPlan, folder: Path) -> dict[str, Any]:
    """Returns when and on what the finished runs of a study were made."""
    runs = finished_runs(plan, folder)
    infos = [run.info() for run in runs]
    git = [info.get("git") or {} for info in infos]
    return {
        "runs": len(infos),
        "from": min((info["started"] for info in infos), default=None),
        "to": max((info["finished"] for info in infos), default=None),
        "devices": sorted({info.get("device") or "?" for info in infos}),
        "precision": sorted({run.settings().train.precision for run in runs}),
        "without_commit": sum(not g.get("commit") for g in git),
        "commits": sorted({str(g["commit"])[:7] for g in git if g.get("commit")}),
        "changed": any(g.get("changed") for g in git),
        "versions": infos[-1].get("versions", {}) if infos else {},
    }
