"""What a name means that can answer: a run, an adapter, or a backbone as the image model it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from mtrans.core.errors import CheckpointError
from mtrans.core.settings import RunSettings
from mtrans.models.lora import ADAPTER_FILE
from mtrans.train.run_folder import RunFolder

PEFT_FILE = "adapter_config.json"


def find_adapter(path: Path) -> tuple[Path | None, RunFolder | None]:
    """Finds the adapter behind a path.

    Args:
        path: A run folder, an adapter folder, or anything else.

    Returns:
        The adapter folder and the run it belongs to; None for what is not there.

    Raises:
        CheckpointError: A run that has no adapter yet.
    """
    if (path / ADAPTER_FILE).is_file():
        parent = RunFolder(path.parent)
        return path, parent if path.name == "adapter" and parent.run_file.is_file() else None
    if (path / PEFT_FILE).is_file():
        raise CheckpointError(_without_record(path))
    run = RunFolder(path)
    if not run.run_file.is_file():
        return None, None
    if run.state() != "finished":
        raise CheckpointError(
            f"'{path}' holds an unfinished run; `mtrans adapt` with the same settings finishes it"
        )
    if (run.adapter / PEFT_FILE).is_file() and not (run.adapter / ADAPTER_FILE).is_file():
        raise CheckpointError(_without_record(run.adapter))
    if not (run.adapter / ADAPTER_FILE).is_file():
        raise CheckpointError(
            f"'{path}' holds a finished run without its adapter, as `mtrans study restore` makes"
            " them; to have it trained again, move the folder away first"
        )
    return run.adapter, run


def _without_record(folder: Path) -> str:
    return (
        f"adapter '{folder}' lacks {ADAPTER_FILE}, which says what it was trained on; copy the"
        " folder again, whole, or adapt anew"
    )


def as_image_model(settings: RunSettings) -> RunSettings:
    """Returns the settings under which nothing is untrained: each frame an image, then the mean.

    Without an adapter, temporal attention, routers, positions and mixing would hold random numbers.
    """
    model = dataclasses.replace(
        settings.model,
        connector="mqt",
        mqt=False,
        routing="off",
        temporal_position="none",
        pool="mean",
        patch_mixing=0,
    )
    return dataclasses.replace(settings, model=model)
