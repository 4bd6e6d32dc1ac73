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

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtrans.core.errors import CheckpointError
from mtrans.core.files import write_text
from mtrans.core.settings import RunSettings, settings_of_file, settings_to_dict

SCHEMA_VERSION = 1
"""Version of run.json; a reader refuses a higher one."""

COMPLETE = "complete"
"""Name of the empty file written last into a checkpoint; a checkpoint without it is ignored."""

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
        except ValueError as error:
            why = getattr(error, "msg", "not UTF-8")
            raise CheckpointError(
                f"'{self.run_file}' is damaged: {why}; to train it anew, use --fresh"
            ) from error
        if not isinstance(info, dict):
            raise CheckpointError(f"'{self.run_file}' is damaged: it holds no entries")
        if info.get("schema_version", 0) > SCHEMA_VERSION:
            raise CheckpointError(
                f"'{self.run_file}' has schema version {info['schema_version']}, this mtrans knows"
                f" up to {SCHEMA_VERSION}; update mtrans"
            )
        return dict(info)

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Writes run.json, whole or not at all."""
        write_text(self.run_file, json.dumps(info, indent=2, ensure_ascii=False) + "\n", sync=True)

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

    def worker(self) -> int | None:
        """Returns the process of this machine that is surely at the run; None where none is."""
        process = self.info().get("process") or {}
        known = process.get("began") is not None and process.get("host") == platform.node()
        return int(process["id"]) if known and _at_work(process) else None

    def leave(self) -> None:
        """Takes down that this process is at the run no longer, whether or not it is finished."""
        with contextlib.suppress(CheckpointError, OSError):
            if (self.info().get("process") or {}).get("id") == os.getpid():
                self.update(process=None)

    def forget_progress(self) -> None:
        """Removes what a run without a checkpoint left, so that it starts again."""
        for folder in (self.checkpoints, self.tensorboard, self.adapter):
            shutil.rmtree(folder, ignore_errors=True)
        self.log_file.unlink(missing_ok=True)


def this_process() -> dict[str, Any]:
    """Returns what tells this process from others, and from a later one with its number."""
    return {"host": platform.node(), "id": os.getpid(), "began": _began(os.getpid())}


def _began(process: int) -> int | None:
    """Returns when a process began, in ticks since the start; None of none, or where none tells."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *numbers = told.rpartition(")")[2].split()
    return None if state == "Z" else int(numbers[18])


def _at_work(process: Mapping[str, Any]) -> bool:
    """Whether the process that began a run may still be at it; one on another machine may."""
    if not process or process.get("id") == os.getpid():
        return False
    if process.get("host") != platform.node():
        return True
    if process.get("began") is not None:
        return _began(int(process["id"])) == process["began"]
    try:
        os.kill(int(process["id"]), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is there, and somebody else's
    return True


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
    if not isinstance(loaded, dict):
        raise CheckpointError(f"'{file}' is damaged: it holds no settings")
    return settings_of_file(loaded)


def write_settings(folder: Path, settings: RunSettings) -> None:
    """Writes settings.yaml into a run or adapter folder."""
    import yaml

    write_text(
        folder / "settings.yaml", yaml.safe_dump(settings_to_dict(settings), sort_keys=False)
    )
