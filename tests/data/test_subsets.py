"""Fractions: nested, stratified, the same whatever the order of the file."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.data.subsets import take_fraction

FRACTIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0)


def make(count: int = 200, each: int = 1, share: float = 0.2) -> list[Sample]:
    """`count` videos, `share` of them answered yes, `each` questions a video."""
    return [
        Sample(
            id=f"{v}-{q}",
            video=f"/v/{v}.mp4",
            question=f"is it {q}?",
            choices=("yes", "no"),
            answer="yes" if v < share * count else "no",
            type=f"type{v % 2}",
            group=f"g{v // 4}",
        )
        for v in range(count)
        for q in range(each)
    ]


def test_smaller_is_contained_in_larger() -> None:
    samples = make()
    for seed in range(5):
        parts = [{s.id for s in take_fraction(samples, f, seed=seed)} for f in FRACTIONS]
        assert all(a < b for a, b in pairwise(parts))
        assert len(parts[-1]) == len(samples)


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_sizes_and_balance(fraction: float) -> None:
    samples = make()
    part = take_fraction(samples, fraction, seed=3)
    assert len(part) == round(fraction * 200)
    found = Counter((s.type, s.answer) for s in part)
    for stratum, n in Counter((s.type, s.answer) for s in samples).items():
        assert abs(found[stratum] - fraction * n) <= 1


def test_order_of_the_file_does_not_matter_and_is_kept() -> None:
    samples = make()
    mixed = random.Random(0).sample(samples, len(samples))
    part = take_fraction(mixed, 0.3)
    assert {s.id for s in part} == {s.id for s in take_fraction(samples, 0.3)}
    assert part == [s for s in mixed if s in part]


def test_place_of_the_videos_does_not_matter() -> None:
    moved = [replace(s, video=f"/other{s.video}") for s in make(each=2)]
    assert [s.id for s in take_fraction(moved, 0.3)] == [
        s.id for s in take_fraction(make(each=2), 0.3)
    ]


def test_another_seed_another_part() -> None:
    samples = make()
    assert take_fraction(samples, 0.1, seed=0) != take_fraction(samples, 0.1, seed=1)


def test_units_stay_whole() -> None:
    samples = make(count=40, each=3)
    part = take_fraction(samples, 0.25)
    assert len({s.video for s in part}) == 10
    assert len(part) == 30
    by_group = take_fraction(samples, 0.5, unit="group")
    assert Counter(Counter(s.group for s in by_group).values()) == {12: 5}
    single = take_fraction(samples, 0.25, unit="sample")
    assert len(single) == 30
    assert len({s.video for s in single}) > 10


def test_open_questions_are_stratified_by_type_alone() -> None:
    samples = [Sample(f"{i}", f"{i}.mp4", "?", answer=f"a{i}", type=f"t{i % 4}") for i in range(40)]
    assert Counter(s.type for s in take_fraction(samples, 0.5)) == {f"t{i}": 5 for i in range(4)}


def test_at_least_one_and_wrong_fractions() -> None:
    assert len(take_fraction(make(10), 0.001)) == 1
    for fraction in (0, -0.1, 1.5, float("nan")):
        with pytest.raises(SettingsError, match="fraction"):
            take_fraction(make(10), fraction)
    with pytest.raises(SettingsError, match="10 of 10 samples name no speaker"):
        take_fraction(make(10), 0.5, unit="speaker")
