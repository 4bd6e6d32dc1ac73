"""Does a split leak? What stands on both sides of it, found before training.

    video    the same file, or the same content under another name
    look     near-duplicate frames, by perceptual hash (`mtrans.data.looks`)
    group    the same source, show or subject
    speaker  the same person

A published split may share speakers by design; then the warning says what its test measures.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError
from mtrans.core.files import file_hash
from mtrans.core.records import Sample
from mtrans.data.clips import Clip, Progress, clip_of
from mtrans.data.folds import split_order

NAMED = 5
"""Names that a warning gives."""


class LeakError(MTransError):
    """Splits share what they must not, and that was not to be tolerated."""


@dataclass(frozen=True)
class Leak:
    """What several splits share.

    Attributes:
        kind: ``video``, ``look``, ``group`` or ``speaker``.
        names: Each thing shared, with the splits it stands in.
        of: How many such things there are in all splits together; for looks the clips.
    """

    kind: str
    names: tuple[str, ...]
    of: int

    def __str__(self) -> str:
        count = len(self.names)
        what = f"{count} of {self.of} {self.kind}s {'are' if count > 1 else 'is'} in several splits"
        if self.kind == "look":
            pairs = "pairs" if count > 1 else "pair"
            what = f"{count} {pairs} of {self.of} clips in different splits look alike"
        more = f" and {len(self.names) - NAMED} more" if len(self.names) > NAMED else ""
        return f"{self.kind}: {what}: {'; '.join(self.names[:NAMED])}{more}"


def find_leaks(
    parts: Mapping[str, Sequence[Sample]],
    *,
    looks: bool = True,
    memory: Path | None = None,
    progress: Progress | None = None,
) -> list[Leak]:
    """Finds what splits share.

    Args:
        parts: Split -> samples.
        looks: Whether to read the videos: content under other names, and near-duplicate frames.
        memory: A JSON file in which perceptual hashes are kept from one call to the next.
        progress: Called with (clips read, clips in all).

    Returns:
        At most one leak of each kind.
    """
    if len(parts) < 2:
        return []
    alias = _same_content(parts) if looks else {}
    found = [_shared(parts, "video", lambda s: alias.get(s.video or "", s.video), alias)]
    if looks:
        found.append(_alike(parts, alias, memory, progress))
    found += [
        _shared(parts, "group", lambda s: s.group),
        _shared(parts, "speaker", lambda s: s.speaker),
    ]
    return [leak for leak in found if leak is not None]


def by_split(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """Returns the samples by the split that they name; those without one are left out."""
    parts: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.split is not None:
            parts[sample.split].append(sample)
    return {split: parts[split] for split in sorted(parts, key=split_order)}


def heed(leaks: Sequence[Leak], *, strict: bool, say: Callable[[str], Any]) -> None:
    """Warns of leaks.

    Args:
        leaks: What was found.
        strict: Make them an error.
        say: Prints a line.

    Raises:
        LeakError: There are leaks, and `strict`.
    """
    if leaks and strict:
        raise LeakError(f"the splits leak (--strict): {' | '.join(map(str, leaks))}")
    for leak in leaks:
        say(f"warning: {leak}")


def _shared(
    parts: Mapping[str, Sequence[Sample]],
    kind: str,
    value: Callable[[Sample], str | None],
    alias: Mapping[str, str] | None = None,
) -> Leak | None:
    where: dict[str, list[str]] = defaultdict(list)
    for split, samples in parts.items():
        for name in dict.fromkeys(filter(None, map(value, samples))):
            where[name].append(split)
    copies: dict[str, list[str]] = defaultdict(list)
    for copy, name in (alias or {}).items():
        copies[name].append(copy)
    names = [
        _named(name, splits, copies.get(name, ()))
        for name, splits in where.items()
        if len(splits) > 1
    ]
    return Leak(kind, tuple(names), len(where)) if names else None


def _alike(
    parts: Mapping[str, Sequence[Sample]],
    alias: Mapping[str, str],
    memory: Path | None,
    progress: Progress | None,
) -> Leak | None:
    from mtrans.data.looks import looks_of, near_pairs

    splits: dict[Clip, set[str]] = defaultdict(set)
    for split, samples in parts.items():
        for sample in samples:
            if sample.video is not None:
                clip = clip_of(sample)
                splits[clip._replace(video=alias.get(clip.video, clip.video))].add(split)
    pairs = near_pairs(looks_of(splits, memory, progress), splits)
    names = [
        f"{_named(one.video, sorted(splits[one]))} and {_named(two.video, sorted(splits[two]))}"
        for one, two in pairs
    ]
    return Leak("look", tuple(names), len(splits)) if names else None


def _same_content(parts: Mapping[str, Sequence[Sample]]) -> dict[str, str]:
    """Returns files with the content of an earlier one -> that one; only equal sizes are read."""
    sizes: dict[int, list[str]] = defaultdict(list)
    for video in dict.fromkeys(s.video for samples in parts.values() for s in samples):
        if video is not None and os.path.isfile(video):
            sizes[os.path.getsize(video)].append(video)
    alias = {}
    for some in sizes.values():
        first: dict[str, str] = {}
        for video in some if len(some) > 1 else ():
            other = first.setdefault(file_hash(video), video)
            if other != video:
                alias[video] = other
    return alias


def _named(name: str, splits: Sequence[str], copies: Sequence[str] = ()) -> str:
    known = [os.path.basename(n) if os.path.isabs(n) else n for n in (name, *copies)]
    same = " = ".join(f"'{n}'" for n in dict.fromkeys(known))
    return f"{same} ({', '.join(splits)})"
