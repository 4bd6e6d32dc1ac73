"""A run folder, read as far as it goes: what is not there adds one line to `Run.missing`."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.files import file_hash
from mtrans.core.records import Prediction, Score
from mtrans.core.settings import RunSettings, settings_from_dict
from mtrans.measure.analyze import analysis_path, read_analysis
from mtrans.measure.predictions import PredictionsError, read_predictions
from mtrans.measure.score import read_scores, score_predictions, scores_path


@dataclass
class Run:
    """A run folder, read as far as it can be.

    Attributes:
        path: The folder.
        name: What the report calls it.
        info: ``run.json``.
        settings: ``settings.yaml``.
        log: ``log.jsonl``.
        predictions: The main predictions.
        source: Their file.
        scores: Their scores.
        document: ``scores.json``.
        analysis: ``analysis.json``, where it is about these predictions.
        missing: One line for each thing that is not there.
    """

    path: Path
    name: str
    info: dict[str, Any] = field(default_factory=dict)
    settings: RunSettings | None = None
    log: list[dict[str, Any]] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    source: Path | None = None
    scores: list[Score] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    analysis: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def cost(self) -> dict[str, Any]:
        """The cost entry of run.json, memory in bytes."""
        cost = dict(self.info.get("cost") or {})
        if "peak_memory_mb" in cost:
            cost.setdefault("peak_memory_bytes", cost["peak_memory_mb"] * 2**20)
        return cost

    @property
    def main(self) -> Score | None:
        """The first overall score."""
        return next((s for s in self.scores if not s.slice), None)


def read_run(path: str | Path) -> Run:
    """Reads whatever a run folder holds.

    Raises:
        CheckpointError: No such folder, or nothing of a run in it.
        PredictionsError: Its predictions are damaged.
    """
    path = Path(path)
    if not path.is_dir():
        raise CheckpointError(f"run folder '{path}' does not exist; `mtrans adapt --out` makes one")
    run = Run(path, _name(path.resolve()))
    _read_circumstances(run)
    _read_log(run)
    files = sorted(path.glob("predictions*.jsonl"))
    preferred = [path / "predictions.jsonl", path / "predictions_test.jsonl", *files]
    run.source = next((f for f in preferred if f in files), None)
    if run.source is None:
        if not run.info and not run.log:
            raise CheckpointError(
                f"'{path}' is not a run folder: it has no run.json, log.jsonl or predictions.jsonl"
            )
        run.missing.append(
            "No predictions, so no scores: run `mtrans eval <run> --data <test.jsonl>`."
        )
        return run
    run.predictions = read_predictions(run.source)
    run.analysis = read_analysis(analysis_path(run.source), run.source) or {}
    if not run.analysis:
        run.missing.append("No analysis: `mtrans analyze <run>` says where and why it fails.")
    try:
        run.scores, run.document = _scores(run.source)
    except PredictionsError as error:
        run.missing.append(f"No scores: {error}.")
    return run


def _scores(source: Path) -> tuple[list[Score], dict[str, Any]]:
    """Reads scores.json if it belongs to these predictions, else measures again."""
    kept = scores_path(source)
    if kept.exists():
        # a scores file that is damaged or of another version is made again as well
        with contextlib.suppress(PredictionsError):
            scores, document = read_scores(kept)
            if document.get("sha256") == file_hash(source):
                return scores, document
    score_predictions(source)
    return read_scores(kept)


def _read_circumstances(run: Run) -> None:
    file = run.path / "run.json"
    try:
        run.info = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        run.missing.append(
            "No run.json, so versions, data hashes and cost are unknown: `mtrans adapt` writes it."
        )
    except ValueError as error:
        raise CheckpointError(f"'{file}' is damaged: {error}") from error
    file = run.path / "settings.yaml"
    if not file.exists():
        run.missing.append("No settings.yaml, so settings are unknown: `mtrans adapt` writes it.")
        return
    import yaml

    try:
        run.settings = settings_from_dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, SettingsError, AttributeError) as error:
        line = " ".join(str(error).split())
        run.missing.append(f"settings.yaml can't be read by this version ({line}).")


def _name(folder: Path) -> str:
    """Returns what a run is called: its folder, in a study with what it is a seed of."""
    if re.search(r"(^|-)seed-\d+$", folder.name):
        return "/".join(folder.parts[-3:])
    return folder.name


def _read_log(run: Run) -> None:
    file = run.path / "log.jsonl"
    if not file.exists():
        run.missing.append("No log.jsonl, so no learning curves: `mtrans adapt` writes it.")
        return
    bad = 0
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            bad += 1
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int | float):
            run.log.append(record)
    if bad:
        run.missing.append(f"{bad} damaged lines of log.jsonl were left out of the curves.")


def read_document(path: Path, schema: int = 1) -> dict[str, Any]:
    """Reads a JSON document of a run; empty where there is none of this version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return dict(document) if document["schema"] == schema else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # it is made again


def synthetic_worlds(run: Run) -> list[str]:
    """Returns the generators whose clips the run used; empty for real footage."""
    found = {str(p.facts["world"]) for p in run.predictions if p.facts.get("world")}

    def look(value: object) -> None:
        if isinstance(value, Mapping):
            if value.get("world"):
                found.add(str(value["world"]))
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(run.info.get("data"))
    return sorted(found)
