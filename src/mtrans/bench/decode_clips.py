"""What the decoding benchmark reads: folders of the user's, drawn clips, and a long drawn file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtrans.bench.clips import bench_clips
from mtrans.core.errors import VideoError
from mtrans.core.files import make_folder
from mtrans.video.write import write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")
FPS = 25


@dataclass(frozen=True)
class ClipSet:
    """Files that are timed together."""

    name: str
    paths: tuple[str, ...]


def clip_sets(
    out: Path, videos: Sequence[Path], *, clips: int, seconds: float, minutes: float
) -> list[ClipSet]:
    """Returns the benchmark's files; drawn ones that are there are kept.

    Args:
        out: Folder for drawn files.
        videos: Folders of the user's; from each an even choice. Those of one name go by their path.
        clips: Files a folder at most.
        seconds: Length of the drawn short clips (320 x 240, a keyframe every 10 s).
        minutes: Length of the drawn long file (320 x 180, likewise).

    Raises:
        VideoError: A folder has no videos.
    """
    names = [folder.resolve().name for folder in videos]
    sets = [
        _of_folder(folder, clips, name if names.count(name) == 1 else str(folder))
        for folder, name in zip(videos, names, strict=True)
    ]
    drawn = bench_clips(out / "clips", min(clips, 4), seconds=seconds)
    sets.append(ClipSet(f"drawn, {seconds:g} s", tuple(str(s.video) for s in drawn)))
    sets.append(ClipSet(f"drawn, {minutes:g} min", (str(_long(out, minutes)),)))
    return sets


def _of_folder(folder: Path, clips: int, name: str) -> ClipSet:
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise VideoError(f"{folder}: no videos in this folder; wanted {', '.join(SUFFIXES)}")
    places = np.unique(np.linspace(0, len(found) - 1, min(clips, len(found))).astype(int))
    return ClipSet(name, tuple(str(found[place]) for place in places))


def _long(out: Path, minutes: float) -> Path:
    path = make_folder(out) / f"long-{minutes:g}min.mp4"
    if not path.exists():
        write_video(path, _pan(round(minutes * 60 * FPS)), FPS, crf=25)
    return path


def _pan(count: int, height: int = 180, width: int = 320) -> Iterator[NDArray[np.uint8]]:
    """Yields a view that wanders over a large textured ground, and a square that crosses it."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 200, (150, 150, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    ground = coarse + rng.integers(0, 40, coarse.shape, dtype=np.uint8)
    reach = np.array(ground.shape[:2]) - (height, width)
    for t in range(count):
        # two speeds without a common period: no view comes twice
        y, x = ((np.sin([t / 190, t / 311]) + 1) / 2 * reach).astype(int)
        frame = ground[y : y + height, x : x + width].copy()
        at = 3 * t % (width - 40)
        frame[60:100, at : at + 40] = 255
        yield frame
