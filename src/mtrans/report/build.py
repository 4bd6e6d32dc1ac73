"""A run folder -> ``report.html``: one file that needs nothing else to be read.

No script, no font, no picture is fetched: styles and charts are inline, frames are ``data:`` URIs,
and the page's own content security policy forbids everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

import mtrans
from mtrans.core.files import make_folder, write_text
from mtrans.core.settings import flatten, settings_to_dict
from mtrans.measure.verdict import Answer, verdict
from mtrans.report import contents
from mtrans.report.analysis import analysis
from mtrans.report.read import Run, read_document, read_run, synthetic_worlds
from mtrans.report.robustness import read_robustness, robustness
from mtrans.report.words import FILTERS

TEMPLATES = Path(__file__).parent / "templates"


def build(
    run_folder: str | Path,
    out: str | Path | None = None,
    compare: Sequence[str | Path] = (),
) -> Path:
    """Writes the report of a run.

    Args:
        run_folder: A folder that `mtrans adapt` and `mtrans eval` filled; whatever it lacks is
            left out and named.
        out: The HTML file; None is ``report.html`` in the run folder.
        compare: Other run folders, evaluated on the same samples, to set beside it.

    Returns:
        The path of the file.

    Raises:
        CheckpointError: A folder is missing or holds no run.
        OutputError: `out` can't be written.
        PredictionsError: A predictions file is damaged.
    """
    runs = [read_run(folder) for folder in (run_folder, *compare)]
    _tell_apart(runs)
    path = Path(out) if out is not None else Path(run_folder) / "report.html"
    write_page(path, render(runs))
    return path


def write_page(path: Path, html: str) -> None:
    """Writes a page, whole or not at all.

    Raises:
        OutputError: It can't be written.
    """
    make_folder(path.parent)
    write_text(path, html)


def unlike(run_folder: str | Path, compare: Sequence[str | Path]) -> list[str]:
    """Says which runs can't be held against the first, because they answered other questions.

    Args:
        run_folder: The run that is reported.
        compare: The others.

    Returns:
        A line for each that can't, with the reason.
    """
    runs = [read_run(folder) for folder in (run_folder, *compare)]
    _tell_apart(runs)
    rows = (contents.contenders(runs) or {}).get("rows", [])
    return [f"{row['name']}: {row['problem']}" for row in rows if row["problem"]]


def render(runs: Sequence[Run]) -> str:
    """Returns the page of the first run, beside the others."""
    return fill("report.html.j2", _page(runs))


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Returns a template of this folder with its values, version and date filled in."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,  # questions and answers are other people's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template(template).render(
        {**values, "version": mtrans.__version__, "made": made}
    )


def _page(runs: Sequence[Run]) -> dict[str, Any]:
    run = runs[0]
    settings = run.settings
    missing = list(run.missing)
    for other in runs[1:]:
        missing += [f"{other.name}: {line}" for line in other.missing]
    missing += [f"{line}." for line in run.document.get("notes", [])]
    matrices = contents.confusions(run)
    if not matrices and any(p.choices for p in run.predictions):
        missing.append(f"No confusion matrix: more than {contents.MAX_CLASSES} different answers.")
    strips = contents.clips(run)
    if strips and settings is None:
        missing.append("No frames: without settings.yaml it is not known which ones the model saw.")
    if not run.cost and run.info:
        missing.append("No cost: run.json has no 'cost' entry; the run may not have finished.")
    disturbed = read_robustness(run.path)
    known_seconds = [p.ms for p in run.predictions if p.ms is not None]
    return {
        "run": run,
        "settings": flatten(settings_to_dict(settings)) if settings else {},
        "changed": contents.changed_settings(settings) if settings else {},
        "worlds": synthetic_worlds(run),
        "overall": [s for s in run.scores if not s.slice],
        "main": run.main,
        "drawn": _drawn(run),
        "breakdowns": contents.breakdowns(run),
        "confusions": matrices,
        "analysis": analysis(run.analysis),
        "robustness": robustness(disturbed),
        "verdict": _verdict(run, disturbed),
        "curves": contents.curves(run),
        "clips": strips,
        "unread": [p for p in run.predictions if p.error],
        "contenders": contents.contenders(runs),
        "circumstances": _circumstances(run),
        "median_ms": sorted(known_seconds)[len(known_seconds) // 2] if known_seconds else None,
        "other_files": [
            f.name for f in sorted(run.path.glob("predictions*.jsonl")) if f != run.source
        ],
        "missing": missing,
    }


def _drawn(run: Run) -> str:
    """Returns what the scores' intervals draw as a whole: clips, or groups, speakers."""
    method = str(run.document.get("interval", {}).get("method", ""))
    return {"groups": "groups", "speakers": "speakers"}.get(method.rpartition(" ")[2], "clips")


def _verdict(run: Run, disturbed: Mapping[str, Any]) -> list[Answer]:
    return verdict(
        run.scores,
        drawn=_drawn(run),
        analysis=run.analysis.get("parts"),
        robustness=disturbed,
        maps=read_document(run.path / "explain" / "faithfulness.json"),
        ood=read_document(run.path / "ood.json"),
    )


def _circumstances(run: Run) -> dict[str, dict[str, Any]]:
    """Groups what run.json says of the run, but for its cost."""
    groups: dict[str, dict[str, Any]] = {"Run": {}}
    for key, value in run.info.items():
        if key == "cost" or value in (None, {}, []):
            continue
        if isinstance(value, dict):
            groups[key.capitalize()] = flatten(value)
        elif key == "skipped" and isinstance(value, list):
            groups["Run"]["skipped clips"] = f"{len(value)}: {value[:10]}"
        elif key == "command" and isinstance(value, list):
            # the program's path says nothing of the run and much of the machine
            words = [Path(str(value[0])).name, *map(str, value[1:])] if value else []
            groups["Run"]["command"] = " ".join(words)
        else:
            groups["Run"][key] = value
    if run.source is not None:
        groups["Predictions"] = {
            "file": run.source.name,
            "predictions": len(run.predictions),
            "SHA-256": run.document.get("sha256"),
        }
    return {name: group for name, group in groups.items() if group}


def _tell_apart(runs: Sequence[Run]) -> None:
    """Puts the parent folder before names that occur twice."""
    names = [run.name for run in runs]
    for run in runs:
        if names.count(run.name) > 1:
            run.name = f"{run.path.resolve().parent.name}/{run.name}"
