"""Samples -> predictions.jsonl, written as it goes: a run that was stopped goes on where it was.

Beside ``predictions.jsonl`` lies ``predictions.meta.json``: which model on which data made it.
Measuring is the next step and needs nothing but the predictions (:mod:`mtrans.measure`).

Several processes (`torchrun`, `accelerate launch`) share the questions, a clip's to one process.
Each writes a part of its own, ``predictions.jsonl.part-<rank>``; the main one puts them together.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrans.core.calibration import Calibration, recalibrated
from mtrans.core.errors import CheckpointError, ManifestError, SettingsError
from mtrans.core.files import append_jsonl, make_folder, read_jsonl, write_text
from mtrans.core.records import Prediction, Sample
from mtrans.core.settings import settings_of_file, settings_to_dict
from mtrans.infer.conditions import Condition
from mtrans.infer.predictor import Errors, Predictor, as_predictor
from mtrans.train.circumstances import describe_data, now, versions
from mtrans.train.together import Team, find_team

_DECIDING = ("frames", "prompt", "model")
"""The settings that decide what is answered."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation did.

    Attributes:
        predictions: The predictions' file.
        answered: Samples answered now, by all processes.
        reused: Samples that were answered before, by the same model on the same data.
        failed: Samples without an answer, because their clip can't be read.
    """

    predictions: Path
    answered: int
    reused: int
    failed: int


def evaluate(
    model: Predictor | str | Path,
    samples: Sequence[Sample],
    out: str | Path | None = None,
    *,
    batch_size: int = 32,
    progress: bool = True,
    errors: Errors = "record",
    overwrite: bool = False,
    use_cache: bool | None = None,
    condition: Condition | None = None,
) -> Evaluation:
    """Answers all samples into a predictions file. All processes of a team must call it.

    Args:
        model: A predictor, or what `load_predictor` takes.
        samples: The questions; ids must be unique.
        out: The file; None is ``predictions.jsonl`` in the model's run folder.
        batch_size: Questions answered together.
        progress: Show progress.
        errors: ``record`` or ``raise``, as `Predictor.predict`.
        overwrite: Replace predictions of another model or other data.
        use_cache: As `Predictor.predict`.
        condition: As `Predictor.predict`; written beside the predictions.

    Returns:
        What was done, with the file's path.

    Raises:
        CheckpointError: The file holds predictions of another model or other data.
        ManifestError: No sample, or two with one id.
        VideoError: A clip can't be read, with ``errors="raise"``.
    """
    _check_ids(samples)
    predictor = as_predictor(model)
    path = _output(predictor, out)
    team = find_team(predictor.device)
    done = team.in_main(lambda: _begin(path, predictor, samples, overwrite, use_cache, condition))
    rest = [s for s in samples if s.id not in done]
    # a test of robustness may take another clip of the same data: it needs all of them
    own = team.by_clip(rest) if condition is None else rest[: None if team.main else 0]
    file = path if team.alone else path.with_name(f"{path.name}.part-{team.rank}")

    def answer() -> int:
        failed = 0
        pending: list[dict[str, Any]] = []
        for prediction in predictor.predict(
            own,
            batch_size=batch_size,
            progress=progress and team.main,
            errors=errors,
            use_cache=use_cache,
            condition=condition,
        ):
            failed += prediction.error is not None
            pending.append(prediction.to_json())
            if len(pending) == batch_size:
                append_jsonl(file, pending)
                pending.clear()
        append_jsonl(file, pending)
        return failed

    failed = sum(done.values()) + sum(team.together(answer))
    team.in_main(lambda: _end(path, samples, failed, team))
    return Evaluation(path, answered=len(rest), reused=len(done), failed=failed)


def _begin(
    path: Path,
    predictor: Predictor,
    samples: Sequence[Sample],
    overwrite: bool,
    use_cache: bool | None,
    condition: Condition | None,
) -> dict[str, bool]:
    """Writes down what begins; returns what is answered already, by id: whether it failed."""
    identity = _identity(predictor, samples)
    if condition is not None:
        identity["condition"] = condition.to_json()
    if use_cache is not False and predictor.settings.cache_dtype != "same":
        identity["cache_dtype"] = predictor.settings.cache_dtype
    if getattr(predictor, "likelihood", False):  # of models of another kind, which can do both
        identity["likelihood"] = True
    opened = _opened(path)
    # not a part of the identity: likelihoods are kept, so what is there is calibrated anew
    record = predictor.calibration.to_json() if predictor.calibration else None
    done = _take_up(path, identity, overwrite, predictor.calibration)
    make_folder(path.parent)
    started = now()
    # a stopped evaluation that goes on has not opened the questions anew, another model's has
    opened = opened if done else [*opened, started]
    times = {"started": started, "finished": None, "opened": opened}
    _write_meta(path, {**identity, "calibration": record, **times, "versions": versions()})
    return {name: bool(line.get("error")) for name, line in done.items()}


def _end(path: Path, samples: Sequence[Sample], failed: int, team: Team) -> None:
    """Puts the processes' parts together, in the order of the samples, and closes the record."""
    if not team.alone:
        lines = {line["id"]: line for file in (path, *_parts(path)) for line in read_jsonl(file)}
        ordered = [lines[sample.id] for sample in samples]
        _replace(path, ordered)
    meta = json.loads(meta_path(path).read_text(encoding="utf-8"))
    _write_meta(path, {**meta, "finished": now(), "failed": failed})


def _parts(path: Path) -> list[Path]:
    """Returns what several processes wrote of a predictions file and was not put together yet."""
    return sorted(path.parent.glob(f"{glob.escape(path.name)}.part-*"))


def _replace(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Writes a predictions file whole, in place of itself and of its parts."""
    write_text(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))
    for part in _parts(path):
        part.unlink()


def _opened(predictions: Path) -> list[str]:
    """Returns when models were put to these questions before, in ISO 8601."""
    try:
        meta = json.loads(meta_path(predictions).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return []
    return list(meta.get("opened") or filter(None, [meta.get("started")]))


def meta_path(predictions: Path) -> Path:
    """Returns where it is written down which model on which data made the predictions."""
    return predictions.with_suffix(".meta.json")


def _check_ids(samples: Sequence[Sample]) -> None:
    if not samples:
        raise ManifestError("there is no sample to answer; give a manifest with at least one line")
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise ManifestError(f"two samples have the id '{sample.id}'; ids must be unique")
        seen.add(sample.id)


def _output(predictor: Predictor, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if predictor.run is None:
        raise CheckpointError(
            f"'{predictor.backbone.name}' has no run folder to write predictions to; give --out"
        )
    return predictor.run.predictions()


def _identity(predictor: Predictor, samples: Sequence[Sample]) -> dict[str, Any]:
    """Returns what decides the predictions."""
    settings = settings_to_dict(predictor.settings)
    digest = hashlib.sha256()
    # an adapter's weights, or the random numbers there would be without one
    for name, parameter in sorted(predictor.backbone.model.named_parameters()):
        if "lora_" in name or "modules_to_save" in name:
            digest.update(name.encode())
            digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return {
        "model": predictor.backbone.name,
        "weights": predictor.backbone.identity,
        "adapter": digest.hexdigest(),
        "settings": {k: settings[k] for k in _DECIDING},
        "max_new_tokens": predictor.max_new_tokens,
        "data": describe_data(samples),
    }


def _take_up(
    path: Path, identity: dict[str, Any], overwrite: bool, calibration: Calibration | None
) -> dict[str, dict[str, Any]]:
    """Returns the records of a stopped or finished evaluation that is this one, by id."""
    if not path.exists() and not _parts(path):
        return {}
    try:
        meta = json.loads(meta_path(path).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        meta = {}
    if isinstance(meta.get("settings"), dict):
        meta["settings"] = _as_today(meta["settings"])
    # written only where they are not the usual ones
    optional = ("condition", "cache_dtype", "likelihood")
    names = dict.fromkeys([*identity, *optional])
    differ = [name for name in names if meta.get(name) != identity.get(name)]
    if differ and not overwrite:
        raise CheckpointError(
            f"'{path}' holds predictions of other {' and '.join(differ)}; choose another --out, or"
            " allow --overwrite"
        )
    there = [] if differ or overwrite else [path, *_parts(path)]
    # by id: a kill between putting parts together and removing them leaves both
    records = list({line["id"]: line for file in there for line in read_jsonl(file)}.values())
    if meta.get("calibration") != (calibration.to_json() if calibration else None):
        records = [_calibrated_anew(line, calibration) for line in records]
    _replace(path, records)  # without the line that a kill cut short
    return {record["id"]: record for record in records}


def _as_today(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns settings that an older version may have written, with what did not exist then."""
    try:
        made = settings_to_dict(settings_of_file(settings))
    except SettingsError:  # not anything that this version could have answered under
        return settings
    return {name: made[name] for name in _DECIDING}


def _calibrated_anew(line: dict[str, Any], calibration: Calibration | None) -> dict[str, Any]:
    """Returns a line of predictions.jsonl with other probabilities from the same likelihoods."""
    before = Prediction(
        id=line["id"],
        video=None,
        question="",
        answer="",
        choices=line.get("choices"),
        log_likelihoods=line.get("log_likelihoods"),
        parse=line["parse"],
    )
    after = recalibrated(before, calibration)
    if after is before:
        return line
    return {
        **line,
        "probabilities": list(after.probabilities or ()),
        "choice": after.choice,
        "answer": after.answer,
    }


def _write_meta(path: Path, meta: dict[str, Any]) -> None:
    write_text(meta_path(path), json.dumps(meta, indent=2, ensure_ascii=False) + "\n")
