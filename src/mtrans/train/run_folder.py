"""The folder a run lives in: what was run, on what, with what, and what came of it.

    run/
      settings.yaml       every setting; `mtrans adapt` with the same ones resumes or says "done"
      run.json            versions, git state, data hashes, seed, device, times, skipped clips, cost
      log.jsonl           step, loss, learning_rate, grad_norm, gates, routing entropy, validation
      adapter/            PEFT adapter folder, with its own copy of settings.yaml
      checkpoints/        checkpoint-<step>/ (resumable, adapter only), best-<step>/ (adapter)
      tensorboard/        the log as TensorBoard events
      predictions*.jsonl, scores.json, report.html   written by the later steps

This module needs no torch.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mtrans.core.errors import CheckpointError
from mtrans.core.files import make_folder, write_text
from mtrans.core.records import Sample
from mtrans.core.settings import RunSettings, flatten, settings_from_dict, settings_to_dict

SCHEMA_VERSION = 1
"""Version of run.json; a reader refuses a higher one."""

COMPLETE = "complete"
"""Name of the empty file written last into a checkpoint; a checkpoint without it is ignored."""

# Where a run is computed, not what: these may differ between the start of a run and its resumption.
_WHERE_NOT_WHAT = ("cache_dir", "device", "train.workers")

_PACKAGES = ("mtrans", "torch", "transformers", "peft", "accelerate", "safetensors", "numpy", "av")

RunState = Literal["new", "unfinished", "finished"]


@dataclass(frozen=True)
class RunFolder:
    """Names and bookkeeping of a run folder.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def adapter(self) -> Path:
        """The adapter's PEFT folder."""
        return self.path / "adapter"

    @property
    def settings_file(self) -> Path:
        """All settings of the run."""
        return self.path / "settings.yaml"

    @property
    def run_file(self) -> Path:
        """Circumstances and cost of the run."""
        return self.path / "run.json"

    @property
    def log_file(self) -> Path:
        """Learning curves, a JSON object a line."""
        return self.path / "log.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Resumable checkpoints and the best adapters so far."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard events."""
        return self.path / "tensorboard"

    @property
    def scores(self) -> Path:
        """Scores of predictions.jsonl."""
        return self.path / "scores.json"

    def predictions(self, split: str | None = None) -> Path:
        """Returns the predictions' file of a split; without one the main test predictions."""
        return self.path / (f"predictions_{split}.jsonl" if split else "predictions.jsonl")

    def settings(self) -> RunSettings:
        """Reads the run's settings.

        Raises:
            CheckpointError: The folder holds no run.
        """
        return read_settings(self.path)

    def info(self) -> dict[str, Any]:
        """Reads run.json.

        Raises:
            CheckpointError: It is missing, damaged, or of a newer mtrans.
        """
        try:
            info = json.loads(self.run_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise CheckpointError(
                f"'{self.path}' is not a run folder: it has no run.json"
            ) from error
        except json.JSONDecodeError as error:
            raise CheckpointError(f"'{self.run_file}' is damaged: {error.msg}") from error
        if info.get("schema_version", 0) > SCHEMA_VERSION:
            raise CheckpointError(
                f"'{self.run_file}' has schema version {info['schema_version']}, this mtrans knows"
                f" up to {SCHEMA_VERSION}; update mtrans"
            )
        return dict(info)

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Writes run.json, whole or not at all."""
        write_text(self.run_file, json.dumps(info, indent=2, ensure_ascii=False) + "\n")

    def update(self, **changes: Any) -> dict[str, Any]:
        """Changes entries of run.json and returns all of them."""
        info = self.info() | changes
        self.write_info(info)
        return info

    def state(self) -> RunState:
        """Says whether the folder is new, or holds an unfinished or a finished run."""
        if not self.run_file.exists():
            return "new"
        return "finished" if self.info().get("status") == "finished" else "unfinished"

    def checkpoint_steps(self) -> list[int]:
        """Returns the steps of all complete resumable checkpoints, oldest first."""
        return sorted(
            int(marker.parent.name.rpartition("-")[2])
            for marker in self.checkpoints.glob(f"checkpoint-*/{COMPLETE}")
        )

    def last_checkpoint(self) -> Path | None:
        """Returns the newest checkpoint that was written completely."""
        steps = self.checkpoint_steps()
        return self.checkpoints / f"checkpoint-{steps[-1]}" if steps else None

    def abandoned(self) -> bool:
        """Whether a run was begun here of which nothing is left to go on from, or to lose."""
        if self.state() != "unfinished" or self.last_checkpoint() is not None:
            return False
        return not _at_work(self.info().get("process") or {})

    def forget_progress(self) -> None:
        """Removes what a run without a checkpoint left, so that it starts again."""
        for folder in (self.checkpoints, self.tensorboard, self.adapter):
            shutil.rmtree(folder, ignore_errors=True)
        self.log_file.unlink(missing_ok=True)


def open_run(
    path: Path,
    settings: RunSettings,
    data: Mapping[str, Any],
    *,
    device: str = "",
) -> tuple[RunFolder, RunState]:
    """Opens a run folder for these settings and data, creating it where there is none.

    Args:
        path: The folder.
        settings: What shall be run.
        data: Hashes and counts from :func:`describe_data`, by split.
        device: Name of the device, for run.json.

    Returns:
        The folder and what it held: ``finished`` means that nothing is left to do.

    Raises:
        CheckpointError: The folder holds a run with other settings or data, or other files. A run
            that left no checkpoint is no obstacle: it is taken over.
    """
    run = RunFolder(path)
    state = run.state()
    if state != "new":
        if not run.abandoned():
            _check_same(run, settings, data)
        if state == "finished":
            return run, state
        if run.last_checkpoint() is not None:
            info = run.info()
            run.update(resumed=[*info.get("resumed", []), now()])
            return run, state
        run.forget_progress()
    elif path.is_dir() and any(path.iterdir()):
        raise CheckpointError(
            f"'{path}' holds other files and no run; choose an empty --out folder"
        )
    make_folder(path)
    write_settings(path, settings)
    run.write_info(
        {
            "schema_version": SCHEMA_VERSION,
            "status": "running",
            "started": now(),
            "finished": None,
            "command": sys.argv,
            "process": {"host": platform.node(), "id": os.getpid()},
            "versions": versions(),
            "git": git_state(),
            "seed": settings.train.seed,
            "device": device,
            "data": dict(data),
            "skipped": [],
            "cost": {},
        }
    )
    return run, "new"


def _at_work(process: Mapping[str, Any]) -> bool:
    """Whether the process that began a run may still be at it; one on another machine may."""
    if not process or process.get("id") == os.getpid():
        return False
    if process.get("host") != platform.node():
        return True
    try:
        os.kill(int(process["id"]), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is there, and somebody else's
    return True


def set_aside(path: Path) -> Path | None:
    """Moves a run to the first free ``<path>.old-<n>``, so that another can take its place.

    Args:
        path: The run folder.

    Returns:
        Where it is now; None where there was no run.

    Raises:
        CheckpointError: It can't be moved.
    """
    if RunFolder(path).state() == "new":
        return None
    here = Path(os.path.abspath(path))  # not resolved: of a link, the link is moved
    if Path.cwd().is_relative_to(here.resolve()):
        raise CheckpointError(f"'{path}' can't be moved away from inside it; change to its parent")
    places = (here.with_name(f"{here.name}.old-{n}") for n in itertools.count(1))
    free = next(place for place in places if not place.exists())
    try:
        here.rename(free)
    except OSError as error:
        raise CheckpointError(f"'{path}' can't be moved to '{free}': {error.strerror}") from error
    return path.with_name(free.name)


def _check_same(run: RunFolder, settings: RunSettings, data: Mapping[str, Any]) -> None:
    there, here = flatten(settings_to_dict(run.settings())), flatten(settings_to_dict(settings))
    differ = [
        f"{key}: {there.get(key)} there, {here[key]} here"
        for key in here
        if key not in _WHERE_NOT_WHAT and there.get(key) != here[key]
    ]
    if differ:
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise CheckpointError(
            f"'{run.path}' holds a run with other settings ({'; '.join(differ[:3])}{more});"
            " choose another --out, or --fresh to move that run away"
        )
    before = run.info().get("data", {})
    for split in sorted({*before, *data}):
        a, b = (d.get(split) or {} for d in (before, data))
        if a.get("hash") != b.get("hash"):
            raise CheckpointError(
                f"'{run.path}' holds a run on other {split} data ({a.get('samples', 0)} samples"
                f" there, {b.get('samples', 0)} here, contents differ); choose another --out, or"
                " --fresh to move that run away"
            )


def describe_data(samples: Sequence[Sample]) -> dict[str, Any]:
    """Counts a list of samples and hashes what they say, wherever the files lie.

    Args:
        samples: The samples, videos with absolute paths.

    Returns:
        ``samples``, ``videos`` (distinct files) and ``hash`` (SHA-256 over the samples in order,
        with the videos' names and sizes in place of their paths).
    """
    digest = hashlib.sha256()
    sizes: dict[str, list[Any]] = {}
    for sample in samples:
        line = sample.to_json()
        if sample.video is not None:
            if sample.video not in sizes:
                try:
                    size = os.path.getsize(sample.video)
                except OSError:
                    size = -1  # a missing file is reported where it is read
                sizes[sample.video] = [os.path.basename(sample.video), size]
            line["video"] = sizes[sample.video]
        digest.update(json.dumps(line, sort_keys=True).encode())
    return {"samples": len(samples), "videos": len(sizes), "hash": digest.hexdigest()}


def read_settings(folder: str | Path) -> RunSettings:
    """Reads settings.yaml of a run or adapter folder.

    Raises:
        CheckpointError: There is none, or it can't be read.
    """
    import yaml

    file = Path(folder) / "settings.yaml"
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"'{folder}' has no settings.yaml; wanted a run or adapter folder"
        ) from error
    except yaml.YAMLError as error:
        raise CheckpointError(f"'{file}' is not YAML: {' '.join(str(error).split())}") from error
    return settings_of_file(loaded)


def write_settings(folder: Path, settings: RunSettings) -> None:
    """Writes settings.yaml into a run or adapter folder."""
    import yaml

    write_text(
        folder / "settings.yaml", yaml.safe_dump(settings_to_dict(settings), sort_keys=False)
    )


def append_jsonl(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Appends JSON lines to a file."""
    with file.open("a", encoding="utf-8") as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    """Reads JSON lines; a last line cut short by a kill is left out."""
    records = []
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    for number, line in enumerate(lines := text.splitlines(), 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise CheckpointError(f"'{file}' line {number} is not JSON: {error.msg}") from error
    return records


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages a result depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any] | None:
    """Returns commit and cleanliness of the checkout this package runs from; None outside one."""
    here = Path(__file__).resolve().parent

    def ask(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        ask(
            "ls-files", "--error-unmatch", __file__
        )  # an installed copy may lie in another checkout
        return {
            "commit": ask("rev-parse", "HEAD"),
            "changed": bool(ask("status", "--porcelain", "-uno")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def now() -> str:
    """Returns the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
