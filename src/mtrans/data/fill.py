"""Filling the feature cache: decode ahead in threads, encode in batches, store.

clips -threads: decode, preprocess-> pixels -batches: encode-> features -ShardWriter-> shards
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtrans.core.errors import CacheError, MTransError, VideoError
from mtrans.core.records import Sample
from mtrans.data.clips import BadClip, Clip, Progress
from mtrans.data.forms import fits_bfloat16
from mtrans.data.shards import ShardStore, ShardWriter
from mtrans.video.threads import cores, decoders

Encode: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""float32[n, 3, H, W] pixels -> float[n, P, Cv] patch features."""

MOST_WORKERS = 8
"""Each holds the frames of three clips at most; more gain little."""


class Decoded(NamedTuple):
    """A clip ready to be encoded."""

    clip: Clip
    pixels: NDArray[np.float32]
    """float32[T, 3, H, W]; of no frames where another process has added the clip meanwhile."""

    times: NDArray[np.float64]
    """float64[T]."""


@dataclass(frozen=True)
class FillReport:
    """What filling did.

    Attributes:
        computed: Clips encoded now.
        reused: Clips that were there, or that another process added meanwhile.
        bad: Clips that can't be read, where these were to be skipped.
    """

    computed: int
    reused: int
    bad: tuple[BadClip, ...]


class Filler:
    """Computes features that are missing.

    Args:
        folder: Where the shards go.
        store: What is there.
        key: Names a clip by its content.
        decode: Reads a clip.
        dtype: As of :class:`mtrans.data.cache.FeatureCache`.
        users: Clip -> the samples that ask about it.
        skip_bad: Note clips that can't be read instead of stopping at the first.
    """

    def __init__(
        self,
        folder: Path,
        store: ShardStore,
        *,
        key: Callable[[Clip], str],
        decode: Callable[[Clip], Decoded],
        dtype: str,
        users: Mapping[Clip, Sequence[Sample]],
        skip_bad: bool,
    ):
        self.folder = folder
        self.store = store
        self.key = key
        self.decode = decode
        self.dtype = dtype
        self.users = users
        self.skip_bad = skip_bad
        self.bad: dict[Clip, str] = {}

    def missing(self) -> list[Clip]:
        """Returns the clips to compute, from a place of this process's own on.

        Raises:
            VideoError: A file can't be read (not with `skip_bad`).
        """
        todo = []
        for clip in self.users:
            try:
                if self.key(clip) not in self.store.entries:
                    todo.append(clip)
            except VideoError as error:
                self._note(clip, error)
        # two processes that start together begin at different places and meet, instead of both
        # doing everything
        turn = (os.getpid() * 7919) % len(todo) if todo else 0
        return todo[turn:] + todo[:turn]

    def run(
        self,
        todo: Sequence[Clip],
        encode: Encode,
        progress: Progress | None,
        *,
        workers: int | None,
        batch_frames: int,
    ) -> int:
        """Computes and stores.

        Args:
            todo: Of :meth:`missing`.
            encode: float32[n, 3, H, W] -> float[n, P, Cv].
            progress: Called with (clips ready, clips in all).
            workers: Threads that decode ahead of `encode`; None is one a core, `MOST_WORKERS` at
                most. They share the cores, whatever their number.
            batch_frames: Frames given to `encode` at once, rounded up to whole clips.

        Returns:
            Clips computed here.

        Raises:
            VideoError: A clip can't be read (not with `skip_bad`).
            CacheError: `encode` returned something else than features, or the disk is full.
        """
        total = len(self.users)
        ready, computed = total - len(todo), 0
        workers = max(1, workers or min(cores(), MOST_WORKERS))
        with ShardWriter(self.folder) as writer:
            for batch in self._batches(decode_ahead(todo, self._decode, workers), batch_frames):
                computed += self._encode(batch, encode, writer)
                ready += len(batch)
                if progress is not None:
                    progress(ready, total)
        if progress is not None and ready < total:
            progress(total, total)
        return computed

    def report(self, computed: int) -> FillReport:
        """Says what was done."""
        listed = tuple(
            BadClip(clip, reason, tuple(s.id for s in self.users[clip]))
            for clip, reason in self.bad.items()
        )
        return FillReport(computed, len(self.users) - computed - len(listed), listed)

    def _decode(self, clip: Clip) -> Decoded:
        if self.key(clip) in self.store.entries:
            return Decoded(clip, np.zeros((0, 3, 1, 1), np.float32), np.zeros(0))
        return self.decode(clip)

    def _batches(
        self, decoded: Iterable[tuple[Clip, Future[Decoded]]], frames: int
    ) -> Iterator[list[Decoded]]:
        """Groups clips to at least so many frames; notes those that can't be read."""
        batch: list[Decoded] = []
        for clip, future in decoded:
            try:
                batch.append(future.result())
            except VideoError as error:
                self._note(clip, error)
                continue
            if sum(len(one.times) for one in batch) >= frames:
                yield batch
                batch = []
        if batch:
            yield batch

    def _encode(self, batch: Sequence[Decoded], encode: Encode, writer: ShardWriter) -> int:
        """Encodes and stores clips; returns how many, without those that appeared meanwhile."""
        self.store.refresh()
        batch = [d for d in batch if len(d.times) and self.key(d.clip) not in self.store.entries]
        if not batch:
            return 0
        pixels = np.concatenate([d.pixels for d in batch])
        features = np.asarray(encode(pixels))
        if features.ndim != 3 or len(features) != len(pixels):
            raise CacheError(
                f"encode returned {list(features.shape)} for {len(pixels)} frames; wanted [n,P,Cv]"
            )
        if features.dtype.name not in ("float32", "float16"):
            raise CacheError(f"encode returned {features.dtype}; wanted float32 or float16")
        if self.dtype == "float16":
            with np.errstate(over="ignore"):  # an overflow is reported below, with what to do
                features = features.astype(np.float16)
        if not np.isfinite(features).all():
            raise CacheError(
                f"features are not finite as {features.dtype}; store them with cache_dtype=same, or"
                " check the backbone's weights"
            )
        form = "int8" if self.dtype == "int8" else features.dtype.name
        if self.dtype == "same" and fits_bfloat16(features):
            form = "bfloat16"
        ends = np.cumsum([len(d.times) for d in batch])
        for one, part in zip(batch, np.split(features, ends[:-1]), strict=True):
            writer.put(self.key(one.clip), part, one.times, form)
        return len(batch)

    def _note(self, clip: Clip, error: MTransError) -> None:
        if not self.skip_bad:
            raise VideoError(f"sample '{self.users[clip][0].id}': {error}") from error
        self.bad[clip] = str(error)


def decode_ahead(
    clips: Sequence[Clip], decode: Callable[[Clip], Decoded], workers: int
) -> Iterator[tuple[Clip, Future[Decoded]]]:
    """Yields clips with their frames on the way, a few ahead of who asks."""
    with decoders(workers), ThreadPoolExecutor(max_workers=workers) as pool:
        queue: list[tuple[Clip, Future[Decoded]]] = []
        for clip in clips:
            queue.append((clip, pool.submit(decode, clip)))
            if len(queue) > 2 * workers:
                yield queue.pop(0)
        yield from queue
