"""Fills a cache in a process of its own: `_cache_worker.py <clips> <cache> <seconds per clip>`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from mtrans.core.records import Sample
from mtrans.core.settings import FrameSettings
from mtrans.data.cache import FeatureCache
from mtrans.video.preprocess import PreprocessSettings


def encode(pixels: np.ndarray) -> np.ndarray:
    """Features float32[n, 2, 3] that depend on every pixel."""
    means = pixels.mean(axis=(2, 3))
    return np.stack([means, means**2], axis=1).astype(np.float32)


def open_cache(folder: Path, **changes) -> FeatureCache:
    arguments = {
        "frames": FrameSettings(count=4),
        "preprocess": PreprocessSettings(height=16, width=16),
        "backbone": "b1",
    }
    return FeatureCache(folder, **{**arguments, **changes})


def samples_in(folder: Path) -> list[Sample]:
    return [Sample(p.stem, str(p), "q?") for p in sorted(folder.glob("*.mp4"))]


if __name__ == "__main__":
    clips, folder, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])

    def slow(pixels: np.ndarray) -> np.ndarray:
        print("encoding", flush=True)
        time.sleep(pause)
        return encode(pixels)

    # every clip a shard of its own, so that a kill in the middle leaves some
    from mtrans.data import fill, shards

    class SmallShards(shards.ShardWriter):
        def __init__(self, path):
            super().__init__(path, shard_bytes=1)

    fill.ShardWriter = SmallShards
    report = open_cache(folder).fill(samples_in(clips), slow, batch_frames=1, workers=1)
    print("computed", report.computed, flush=True)
