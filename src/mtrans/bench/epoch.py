"""What the feature cache saves: an epoch of `adapt` from video, and from the cache.

Each case is a whole adaptation of one epoch in a fresh run folder; counted is preparing the
features plus training, not loading the backbone. *cold*: the cache is empty at the start. *warm*:
it is full, as in every epoch after the first and in every later run on the same clips.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mtrans.bench.side_by_side import ratio, take_turns, write_result
from mtrans.core.settings import load_settings
from mtrans.data.manifest import read_manifest
from mtrans.train.adapt import adapt
from mtrans.video.worlds.make import make_world

CASES = ("video", "cold cache", "warm cache")


def bench_epoch(
    out: Path,
    *,
    world: str = "talk",
    clips: int = 600,
    frames: int = 4,
    rounds: int = 3,
    said: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Times an epoch of `tiny` three ways, side by side.

    Args:
        out: Folder for clips, caches and the result, ``epoch.json``.
        world: Synthetic world the clips are of.
        clips: How many.
        frames: Frames of a clip.
        rounds: How often each case is run.
        said: Called with a line of progress.

    Returns:
        Seconds an epoch by case and round, and the ratios.
    """
    make_world(world, out / "data", {"train": clips}, 0)
    samples = read_manifest(out / "data" / "train.jsonl")

    def epoch(case: str) -> float:
        cache = out / ("warm" if case == "warm cache" else "cold")
        shutil.rmtree(out / "run", ignore_errors=True)
        if case == "cold cache":
            shutil.rmtree(cache, ignore_errors=True)
        settings = load_settings(
            values={
                "cache_dir": str(cache),
                "frames.count": frames,
                "train.epochs": 1.0,
                "train.use_cache": case != "video",
            }
        )
        cost = adapt(settings, samples, None, out / "run", progress=False).info()["cost"]
        return float(cost["prepare_seconds"] + cost["train_seconds"])

    epoch("warm cache")  # fills it, and warms the process up
    seconds = take_turns({case: lambda case=case: epoch(case) for case in CASES}, rounds, said)  # type: ignore[misc]
    ratios = [ratio(seconds, "video", case) for case in CASES[1:]]
    result = {
        "world": world,
        "clips": clips,
        "questions": len(samples),
        "frames": frames,
        "seconds_per_epoch": seconds,
        "ratios": [asdict(r) for r in ratios],
    }
    write_result(out / "epoch.json", "epoch", result)
    return result | {"ratios": ratios}
