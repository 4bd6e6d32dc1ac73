"""Clips for benchmarks: a few drawn ones, or files of the user's, each under several names.

What a feature cache knows a file by is its content, and how often a file is decoded must not depend
on how many different ones there are. So copies get an empty box of their own at the end, which
players and decoders skip.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtrans.core.errors import ManifestError
from mtrans.core.files import make_folder
from mtrans.core.records import Sample
from mtrans.video.write import write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWN, WIDTH, HEIGHT, FPS = 4, 320, 240, 25
QUESTIONS = ("what happens in the video?", "which way does the square move?", "what is it?")
CHOICES = ("it goes left", "it goes right", "it goes up", "it goes down")
BOXES = (".mp4", ".mov", ".m4v")


def bench_clips(
    folder: Path, count: int, *, seconds: float = 10.0, videos: Sequence[Path] = ()
) -> list[Sample]:
    """Makes multiple-choice samples on `count` files.

    Args:
        folder: Where the files go; those that are there already are kept.
        count: Files, each with other content.
        seconds: Length of the drawn clips, 320 x 240 at 25 frames a second.
        videos: MP4 files to use in place of drawn ones.

    Returns:
        A sample a file, with four candidates.

    Raises:
        ManifestError: A video given is not an MP4 file.
    """
    make_folder(folder)
    for path in videos:
        if path.suffix.lower() not in BOXES:
            raise ManifestError(f"'{path}': wanted MP4 files, to make copies of; leave it out")
    sources = list(videos) or [_drawn(folder, i, seconds) for i in range(min(DRAWN, count))]
    samples = []
    for i in range(count):
        path = folder / f"{i:04d}-{round(seconds * FPS)}.mp4"
        content = sources[i % len(sources)].read_bytes() + _empty_box(i)
        # what is there may be cut short, or a copy of other videos
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
        samples.append(
            Sample(
                id=str(i),
                video=str(path),
                question=QUESTIONS[i % len(QUESTIONS)],
                answer=CHOICES[i % len(CHOICES)],
                choices=CHOICES,
                label=i % len(CHOICES),
            )
        )
    return samples


def _empty_box(number: int) -> bytes:
    """Returns an MP4 box of type ``free`` (ISO/IEC 14496-12, 8.1.2) with a number in it."""
    return struct.pack(">I4sQ", 16, b"free", number)


def _drawn(folder: Path, number: int, seconds: float) -> Path:
    path = folder / f"drawn-{number}-{round(seconds * FPS)}.mp4"
    if not path.exists():
        write_video(path, _frames(number, round(seconds * FPS)), fps=FPS, crf=23)
    return path


def _frames(number: int, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yields a textured ground that drifts, with a square that moves over it."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(40, 200, (HEIGHT // 8 + 16, WIDTH // 8 + 64, 3), dtype=np.uint8)
    ground = coarse.repeat(8, axis=0).repeat(8, axis=1)
    grain = rng.integers(0, 30, ground.shape, dtype=np.uint8)
    ground = ground + grain
    for t in range(count):
        dx, dy = (t * (1 + number % 3)) % 400, (t // 2) % 100
        frame = ground[dy : dy + HEIGHT, dx : dx + WIDTH].copy()
        x = (20 + 3 * t) % (WIDTH - 60)
        frame[90:150, x : x + 60] = 255 - 40 * (number % 4)
        yield frame
