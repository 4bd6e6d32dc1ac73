"""Smaller training sets: stratified, seeded, nested, so that a curve over sizes means something.

Units (videos by default) are put in one order that depends on nothing but the seed and the samples'
ids: within each stratum by hash, and the strata interleaved in proportion. A fraction is a prefix
of that order; so a smaller fraction is contained in a larger one, wherever the files lie and in
whatever order, and every prefix holds each stratum in its share, rounded. Needs no torch.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample

Unit = Literal["sample", "video", "group", "speaker"]
"""What is kept together: a question, or all questions of a video, a group or a speaker."""


def units_of(samples: Sequence[Sample], unit: Unit) -> list[str]:
    """Returns what each sample is kept together with.

    A sample without a video is a unit of its own; one without group or speaker is an error, since
    what it must be kept with is unknown.

    Raises:
        SettingsError: A sample names no group, or no speaker.
    """
    if unit == "sample":
        return [s.id for s in samples]
    if unit == "video":
        return [f"sample {s.id}" if s.video is None else s.video for s in samples]
    missing = [s.id for s in samples if getattr(s, unit) is None]
    if missing:
        raise SettingsError(
            f"{len(missing)} of {len(samples)} samples name no {unit} (first: '{missing[0]}');"
            f" give each a {unit}, or keep together by video"
        )
    return [str(getattr(s, unit)) for s in samples]


def strata_of(samples: Sequence[Sample]) -> list[str]:
    """Returns the stratum of each sample: its type and right answer.

    Where the candidates differ from question to question the place of the right one is taken, and
    for an open question the type alone, as answers hardly ever repeat.
    """
    fixed: dict[str | None, set[tuple[str, ...] | None]] = defaultdict(set)
    for s in samples:
        fixed[s.type].add(s.choices and tuple(sorted(s.choices)))
    strata = []
    for s in samples:
        if s.choices is None:
            detail = ""
        elif len(fixed[s.type]) == 1:
            detail = s.answer or ""
        else:
            detail = "" if s.label is None else str(s.label)
        strata.append(f"{s.type or ''}\t{detail}")
    return strata


def take_fraction(
    samples: Sequence[Sample], fraction: float, *, seed: int = 0, unit: Unit = "video"
) -> list[Sample]:
    """Returns a stratified part of the samples; a smaller fraction is contained in a larger one.

    Args:
        samples: All samples.
        fraction: Share of the units to keep, above 0 and at most 1; at least one unit is kept.
        seed: Another seed gives another part.
        unit: What is kept together and counted.

    Returns:
        The samples of the chosen units, in their given order.

    Raises:
        SettingsError: The fraction is out of range, or a sample lacks its unit.
    """
    if not 0 < fraction <= 1:
        raise SettingsError(f"fraction {fraction}: wanted a number above 0 and at most 1")
    names = units_of(samples, unit)
    order = order_units(samples, names, seed)
    keep = set(order[: max(1, round(fraction * len(order)))])
    return [s for s, name in zip(samples, names, strict=True) if name in keep]


def order_units(samples: Sequence[Sample], names: Sequence[str], seed: int) -> list[str]:
    """Returns the distinct units in the order in which fractions take them.

    Args:
        samples: All samples; a unit belongs to the stratum of most of its samples.
        names: Unit of each.
        seed: Of the order within each stratum.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    ids: dict[str, str] = {}
    for sample, name, stratum in zip(samples, names, strata_of(samples), strict=True):
        votes[name][stratum] += 1
        ids[name] = min(sample.id, ids.get(name, sample.id))
    members: dict[str, list[str]] = defaultdict(list)
    for name, counts in votes.items():
        members[min(counts, key=lambda s: (-counts[s], s))].append(name)
    placed = []
    for stratum, some in members.items():
        some.sort(key=lambda name: _hash(seed, ids[name]))
        # units at (rank + 1/2) / n of the way: equal steps interleave strata in proportion
        placed += [((r + 0.5) / len(some), _hash(seed, stratum), n) for r, n in enumerate(some)]
    return [name for _, _, name in sorted(placed)]


def _hash(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\t{name}".encode()).hexdigest()
