"""A study's synthetic clips: drawn once, and kept as they are from then on.

    folder/data/<name>/{train,val,test}.jsonl, videos/, world.json

Runs are bound to what their manifests say. So clips that were drawn for a study are not drawn
again, even where a later version of the program would write other facts beside the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from mtrans.core.errors import SettingsError
from mtrans.core.files import make_folder, read_jsonl
from mtrans.study.parts import Data


def draw(
    sets: tuple[Data, ...],
    folder: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draws the clips of synthetic worlds that are not there yet.

    Args:
        sets: The data sets; those that are manifests are left alone.
        folder: The study's folder.
        workers: Processes that draw and encode.
        progress: Called with (clips done, clips in all).

    Raises:
        SettingsError: Unknown world, or the folder holds clips of another kind.
        VideoError: The folder can't be written.
    """
    from mtrans.video.worlds.make import make_world

    make_folder(folder)
    for data in sets:
        if data.world is None or data.clips_of:
            continue
        given = {"train": data.train, "val": data.val, "test": data.test}
        counts = {split: int(n) for split, n in given.items() if n is not None}
        place = folder / "data" / data.name
        if _is_there(data, place, counts):
            continue
        make_world(
            data.world,
            place,
            counts,
            data.seed,
            size=data.size,
            seconds=data.seconds,
            workers=workers,
            progress=progress,
        )


def _is_there(data: Data, place: Path, counts: Mapping[str, int]) -> bool:
    """Says whether a folder holds exactly these clips, with their manifests."""
    spec = place / "world.json"
    if not spec.exists():
        return False
    try:
        there = dict(json.loads(spec.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"'{spec}' is damaged; remove '{place}', its clips are drawn again"
        ) from error
    wanted = {"world": data.world, "seed": data.seed, "size": data.size, "seconds": data.seconds}
    if any(there.get(key) != value for key, value in wanted.items()):
        return False  # make_world says what differs
    return all(_clips(place / f"{split}.jsonl") == n for split, n in counts.items())


def _clips(manifest: Path) -> int:
    """Counts a world's clips; each has a question at least."""
    return len({row["video"] for row in read_jsonl(manifest)})
