"""A run begun: inputs checked, its folder made, taken up again, or moved away. Needs no torch."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import CheckpointError, ManifestError, SettingsError
from mtrans.core.files import make_folder
from mtrans.core.records import Sample
from mtrans.core.settings import RunSettings, flatten, settings_to_dict
from mtrans.train.circumstances import git_state, now, versions
from mtrans.train.run_folder import (
    SCHEMA_VERSION,
    RunFolder,
    RunState,
    this_process,
    write_settings,
)

# Where a run is computed, not what: these may differ between the start of a run and its resumption.

_WHERE_NOT_WHAT = ("cache_dir", "device", "offload", "train.workers")


def check_inputs(
    settings: RunSettings, train: Sequence[Sample], val: Sequence[Sample] | None
) -> None:
    """Finds what can be found wrong before anything is loaded.

    Raises:
        ManifestError: There is no training sample, or a sample without an answer.
        SettingsError: Early stopping without validation data, or an LLM in the machine's memory
            that a backward pass would bring to the device whole.
    """
    if not train:
        raise ManifestError("there is no training sample; give a manifest with at least one line")
    for split, samples in (("training", train), ("validation", val or ())):
        for sample in samples:
            if sample.answer is None:
                raise ManifestError(
                    f"{split} sample '{sample.id}' has no answer; training needs one in each"
                )
    if settings.train.patience is not None and not val:
        raise SettingsError(
            f"train.patience={settings.train.patience} stops by validation, but there is no"
            " validation data; give --val"
        )
    if settings.offload == "llm" and not settings.train.gradient_checkpointing:
        raise SettingsError(
            "offload=llm saves no memory in training without train.gradient_checkpointing=true:"
            " the backward pass keeps every weight; set it, or offload=none"
        )


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
        CheckpointError: The folder holds a run with other settings or data, one that another
            process is at, or other files. A run that left no checkpoint is no obstacle: it is taken
            over.
    """
    run = RunFolder(path)
    state = run.state()
    if state != "new":
        if not run.abandoned():
            _check_same(run, settings, data)
        if state == "finished":
            return run, state
        _check_free(run)
        if run.last_checkpoint() is not None:
            info = run.info()
            run.update(resumed=[*info.get("resumed", []), now()], process=this_process())
            return run, state
        run.forget_progress()
    elif path.is_dir() and any(not _first(f) for f in path.iterdir()):
        raise CheckpointError(
            f"'{path}' holds other files and no run; choose an empty --out folder"
        )
    info = {
        "schema_version": SCHEMA_VERSION,
        "status": "running",
        "started": now(),
        "finished": None,
        "command": sys.argv,
        "process": this_process(),
        "versions": versions(),
        "git": git_state(),
        "seed": settings.train.seed,
        "device": device,
        "data": dict(data),
        "skipped": [],
        "cost": {},
    }
    make_folder(path)
    write_settings(path, settings)
    run.write_info(info)
    return run, "new"


def set_aside(path: Path) -> Path | None:
    """Moves a run to the first free ``<path>.old-<n>``, so that another can take its place.

    Args:
        path: The run folder.

    Returns:
        Where it is now; None where there was no run.

    Raises:
        CheckpointError: It can't be moved.
    """
    run = RunFolder(path)
    if not run.run_file.exists():
        return None
    try:
        run.info()
    except CheckpointError:
        pass  # damaged: it names nobody who is at it
    else:
        _check_free(run)
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


def _first(file: Path) -> bool:
    """Whether a start that was killed at once may have left this file."""
    return file.name == "settings.yaml" or (file.name[0] == "." and file.suffix == ".part")


def _check_free(run: RunFolder) -> None:
    """Keeps two processes from writing one run, which would be neither's."""
    if (process := run.worker()) is not None:
        raise CheckpointError(
            f"process {process} is training in '{run.path}' now; wait until it has ended, or choose"
            " another --out"
        )


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
