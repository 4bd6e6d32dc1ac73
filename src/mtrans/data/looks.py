"""What a clip looks like in 64 bits a frame, to find the same footage under another name.

    clip --three frames--> 32 x 32 grey --DCT--> 8 x 8 lowest frequencies --> above their median?

The perceptual hash of Zauner (2010, "Implementation and Benchmarking of Perceptual Image Hash
Functions"), as common tools compute it. It survives another size, codec and brightness, not a crop
or a mirror image. A frame with hardly any contrast has no look: its bits would be noise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from mtrans.core.errors import VideoError
from mtrans.core.files import make_folder, write_text
from mtrans.core.settings import FrameSettings
from mtrans.data.cache import default_folder
from mtrans.data.clips import Clip, Progress
from mtrans.data.content import writing
from mtrans.video.clip import load_clip

FRAMES = 3
"""Frames looked at, spread over the clip."""

SIDE, KEPT = 32, 8
"""Pixels that the transform sees along a side, and frequencies kept of them."""

FLAT = 4.0
"""Standard deviation of grey values (0 to 255) below which a frame has no look."""

NEAR = 6.0
"""Clips are near-duplicates whose frames differ in at most so many of 64 bits on average."""

Look = tuple[int | None, ...]
"""The hash of each frame; None for a frame without contrast."""


def looks_file(cache_dir: str | Path | None) -> Path:
    """Returns the file in which a cache folder remembers looks; None is the user's own folder."""
    return (Path(cache_dir) if cache_dir is not None else default_folder()) / "looks.json"


def frame_hash(pixels: NDArray[np.uint8]) -> int | None:
    """Returns the perceptual hash of a frame uint8[H, W, 3] as 64 bits; None for a flat one."""
    grey = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    values = np.asarray(grey, dtype=np.float64)
    if values.std() < FLAT:
        return None
    low = dctn(values, norm="ortho")[:KEPT, :KEPT].ravel()
    bits = low > np.median(low[1:])  # the first is the brightness
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def looks_of(
    clips: Iterable[Clip], memory: Path | None = None, progress: Progress | None = None
) -> dict[Clip, Look]:
    """Returns what clips look like; those that can't be read are left out.

    Args:
        clips: The clips.
        memory: A JSON file in which looks are kept from one call to the next.
        progress: Called with (clips done, clips in all).

    Raises:
        CacheError: The memory can't be written.
    """
    known: dict[str, list[int | None]] = {}
    if memory is not None and memory.exists():
        known = json.loads(memory.read_text(encoding="utf-8"))
    found: dict[Clip, Look] = {}
    wanted = list(dict.fromkeys(clips))
    before = len(known)
    for done, clip in enumerate(wanted, 1):
        try:
            key = _key(clip)
            if key not in known:
                frames = load_clip(clip.video, FrameSettings(count=FRAMES), clip.start, clip.end)
                known[key] = [frame_hash(frame) for frame in frames.pixels]
        except (OSError, VideoError):
            continue  # whoever trains on it says what is wrong with it
        found[clip] = tuple(known[key])
        if progress is not None:
            progress(done, len(wanted))
    if memory is not None and len(known) > before:
        with writing(memory.parent):
            make_folder(memory.parent)
            write_text(memory, json.dumps(known))
    return found


def near_pairs(looks: dict[Clip, Look], apart: dict[Clip, set[str]]) -> list[tuple[Clip, Clip]]:
    """Returns pairs of clips that look alike and stand in different splits, the nearest first.

    Args:
        looks: From :func:`looks_of`.
        apart: The splits of each clip.
    """
    clips = [c for c in looks if len(looks[c]) == FRAMES]
    if not clips:
        return []
    seen = np.array([[h is not None for h in looks[c]] for c in clips])
    hashes = np.array([[h or 0 for h in looks[c]] for c in clips], dtype=np.uint64)
    pairs: list[tuple[float, int, int]] = []
    for i in range(len(clips) - 1):
        bits = np.bitwise_count(hashes[i] ^ hashes[i + 1 :]).astype(np.float64)
        both = seen[i] & seen[i + 1 :]
        count = both.sum(axis=1)
        distance = np.where(count > 0, (bits * both).sum(axis=1) / np.maximum(count, 1), np.inf)
        # two clips must share most of their frames, not one title card
        distance[count < (FRAMES + 1) // 2] = np.inf
        pairs += [(float(distance[j]), i, i + 1 + int(j)) for j in np.flatnonzero(distance <= NEAR)]
    return [
        (clips[i], clips[j])
        for _, i, j in sorted(pairs)
        if clips[i].video != clips[j].video and len(apart[clips[i]] | apart[clips[j]]) > 1
    ]


def _key(clip: Clip) -> str:
    state = os.stat(clip.video)
    return json.dumps(
        [os.path.abspath(clip.video), state.st_size, state.st_mtime_ns, clip.start, clip.end]
    )
