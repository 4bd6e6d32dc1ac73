"""A world's name and a seed -> a folder of mp4 files and manifests. Synthetic test benches.

    out/videos/train_00000.mp4 ...   out/{train,val,test}.jsonl   out/README.md

Every clip has a seed of its own, made of (seed, world, split, index): splits don't depend on each
other's size, a larger set contains the smaller one's clips, and an interrupted run goes on where it
stopped.
"""

from __future__ import annotations

import json
import multiprocessing
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.core.errors import SettingsError
from mtrans.core.files import make_folder, write_text
from mtrans.core.processes import end_with_parent
from mtrans.core.records import Sample
from mtrans.core.registry import Registry
from mtrans.video.worlds.clip import World, WorldClip
from mtrans.video.write import write_video

GENERATOR_VERSION = 1
"""Raised whenever a seed gives another clip or question than before."""

SPLITS = ("train", "val", "test")
SPEC_FILE = "world.json"

WORLDS: Registry[World] = Registry("world")
WORLDS.add("physics", "mtrans.video.worlds.physics:generate")
WORLDS.add("talk", "mtrans.video.worlds.talk:generate")
WORLDS.add("ego", "mtrans.video.worlds.ego:generate")
WORLDS.add("kitchen", "mtrans.video.worlds.kitchen:generate")


@dataclass(frozen=True)
class Spec:
    """What decides every byte of a clip: two folders of equal specs hold equal clips.

    Attributes:
        world: The world's name.
        seed: Seed of the whole set.
        size: Height and width in pixels.
        fps: Frames a second; None is the world's own.
        seconds: Length of a clip; None is the world's own.
    """

    world: str
    seed: int
    size: int = 64
    fps: float | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the contents of ``world.json``."""
        return {**self.__dict__, "generator_version": GENERATOR_VERSION}


def make_world(
    name: str,
    out: str | Path,
    counts: Mapping[str, int],
    seed: int = 0,
    *,
    size: int = 64,
    fps: float | None = None,
    seconds: float | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Writes a world's clips and manifests.

    Clips that are there already are kept; manifests are written anew for exactly `counts` clips.

    Args:
        name: One of :data:`WORLDS`.
        out: Folder to write to; made if need be.
        counts: Clips per split, for any of ``train``, ``val``, ``test``.
        seed: Seed of the whole set.
        size: Height and width in pixels; even.
        fps: Frames a second; None is the world's own.
        seconds: Length of a clip; None is the world's own.
        workers: Processes that draw and encode.
        progress: Called with (clips done, clips in all) after every clip.

    Returns:
        Questions per split.

    Raises:
        SettingsError: Unknown world or split, an odd size, or `out` holds clips of another spec.
        VideoError: The folder can't be written.
    """
    spec = Spec(name, int(seed), int(size), fps, seconds)
    WORLDS.get(name)  # an unknown name fails before anything is written
    _check(counts, spec)
    folder = Path(out)
    _claim(folder, spec)
    jobs = [(spec, folder, split, i) for split in SPLITS for i in range(counts.get(split, 0))]
    found: dict[str, list[list[Sample]]] = {split: [] for split in SPLITS if split in counts}
    for done, (job, samples) in enumerate(zip(jobs, _run(jobs, workers), strict=True), start=1):
        found[job[2]].append(samples)
        if progress is not None:
            progress(done, len(jobs))
    totals = {}
    for split, clips in found.items():
        samples = balance(clips)
        lines = [json.dumps(s.to_json(), ensure_ascii=False) + "\n" for s in samples]
        write_text(folder / f"{split}.jsonl", "".join(lines))
        totals[split] = len(samples)
    write_text(folder / "README.md", _readme(spec, counts, totals))
    return totals


def clip_rng(spec: Spec, split: str, index: int, attempt: int = 0) -> np.random.Generator:
    """Returns the source of all randomness of one clip."""
    world = zlib.crc32(spec.world.encode())
    # SeedSequence takes no negative numbers
    seed = spec.seed % (1 << 64)
    return np.random.default_rng([seed, world, SPLITS.index(split), index, attempt])


def generate_clip(spec: Spec, split: str, index: int) -> WorldClip:
    """Generates one clip of a set, without drawing it.

    A clip with a single multiple-choice question is generated until the right candidate is the
    index's turn, so that such worlds are balanced exactly.
    """
    options: dict[str, Any] = {"size": spec.size, "seconds": spec.seconds}
    if spec.fps is not None:
        options["fps"] = spec.fps
    world = WORLDS.get(spec.world)
    for attempt in range(64):
        clip = world(clip_rng(spec, split, index, attempt), **options)
        closed = [q for q in clip.questions if q.choices]
        if len(closed) != 1 or closed[0].label == index % len(closed[0].choices or ()):
            break
    return clip


def balance(clips: list[list[Sample]]) -> list[Sample]:
    """Drops questions until the right answers of every multiple-choice type are about equally many.

    Counted is the answer where all questions of a type have the same candidates, else its place
    among them. A clip keeps at least one question.

    Args:
        clips: The samples of each clip.

    Returns:
        The samples that remain, in order.
    """
    choices: dict[str | None, set[tuple[str, ...] | None]] = defaultdict(set)
    for sample in (s for samples in clips for s in samples):
        choices[sample.type].add(tuple(sorted(sample.choices)) if sample.choices else None)

    def key(sample: Sample) -> tuple[str | None, Any]:
        same = len(choices[sample.type]) == 1
        return sample.type, sample.answer if same else sample.label

    counts = Counter(key(s) for samples in clips for s in samples if s.choices)
    fewest: dict[str | None, int] = {}
    for (kind, _), n in counts.items():
        fewest[kind] = min(n, fewest.get(kind, n))
    kept: list[Sample] = []
    # from the back, so that the first clips of a set keep all their questions
    for samples in reversed(clips):
        left = len(samples)
        for sample in reversed(samples):
            if sample.choices and left > 1 and counts[key(sample)] > fewest[sample.type] + 1:
                counts[key(sample)] -= 1
                left -= 1
            else:
                kept.append(sample)
    return kept[::-1]


def _make_clip(job: tuple[Spec, Path, str, int]) -> list[Sample]:
    """Writes one clip unless it is there, and returns its samples."""
    spec, folder, split, index = job
    clip = generate_clip(spec, split, index)
    stem = f"{split}_{index:05d}"
    path = folder / "videos" / f"{stem}.mp4"
    if not path.exists():  # a file has its name only once it is complete
        write_video(path, clip.frames, clip.fps, clip.audio, clip.sample_rate)
    return [
        Sample(
            id=f"{spec.world}-{split}-{index:05d}-{k}",
            video=f"videos/{stem}.mp4",
            question=q.text,
            answer=q.answer,
            choices=q.choices,
            label=q.label,
            context=q.context,
            speaker=clip.speaker,
            group=stem,
            split=split,
            type=q.type,
            facts={"world": spec.world, **clip.facts},
        )
        for k, q in enumerate(clip.questions)
    ]


def _run(jobs: list[tuple[Spec, Path, str, int]], workers: int) -> Iterator[list[Sample]]:
    if workers <= 1:
        yield from map(_make_clip, jobs)
        return
    # not fork: the caller may hold threads (torch, av) that a forked child would not have
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=end_with_parent) as pool:
        yield from pool.map(_make_clip, jobs, chunksize=8)


def _check(counts: Mapping[str, int], spec: Spec) -> None:
    if wrong := [s for s in counts if s not in SPLITS]:
        raise SettingsError(f"unknown split '{wrong[0]}'; wanted {', '.join(SPLITS)}")
    if low := [s for s, n in counts.items() if n < 0]:
        raise SettingsError(f"{counts[low[0]]} {low[0]} clips asked for; wanted 0 or more")
    if spec.size % 2 or spec.size < 16:
        raise SettingsError(f"size={spec.size}; wanted an even number of pixels, 16 or more")
    for what, value in (("fps", spec.fps), ("seconds", spec.seconds)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise SettingsError(f"{what}={value}; wanted a number above 0")


def _claim(folder: Path, spec: Spec) -> None:
    """Takes the folder for this spec, or finds that it has been taken for another one."""
    make_folder(folder / "videos")
    path = folder / SPEC_FILE
    if not path.exists():
        if any((folder / "videos").iterdir()):
            raise SettingsError(f"{folder} holds videos but no {SPEC_FILE}; give an empty folder")
        write_text(path, json.dumps(spec.to_json(), indent=2) + "\n")
        return
    there, wanted = json.loads(path.read_text("utf-8")), spec.to_json()
    if differ := [k for k in wanted if there.get(k) != wanted[k]]:
        what = ", ".join(f"{k}={there.get(k)} (asked for: {wanted[k]})" for k in differ)
        raise SettingsError(f"{folder} was made with {what}; give another folder or the same spec")


def _readme(spec: Spec, counts: Mapping[str, int], totals: Mapping[str, int]) -> str:
    rows = "".join(f"| {s} | {counts[s]} | {totals[s]} |\n" for s in SPLITS if s in totals)
    return (
        f"# {spec.world}: a synthetic test bench with known truth\n\n"
        "These clips are drawn by a program, not filmed. They tell whether a method can learn what"
        " it should; they say nothing about accuracy on real footage.\n\n"
        f"| split | clips | questions |\n|---|---|---|\n{rows}\n"
        f"Made by `mtrans worlds make {spec.world}`, generator version {GENERATOR_VERSION}, seed"
        f" {spec.seed}, {spec.size} px. `{SPEC_FILE}` has all settings; the same settings give the"
        " same clips. Each line of a manifest (`train.jsonl`, ...) is one question.\n"
    )
