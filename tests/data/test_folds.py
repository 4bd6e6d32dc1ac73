"""Folds: disjoint, whole, balanced, nothing torn apart."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.data.folds import Fold, assign_folds, given_folds, hold_out, make_folds

from .test_subsets import make


def check(folds: list[Fold], samples: list[Sample], unit: str) -> None:
    tested = [s.id for fold in folds for s in fold.test]
    assert Counter(tested) == Counter(s.id for s in samples)
    for fold in folds:
        assert {s.id for s in fold.train} | {s.id for s in fold.test} == {s.id for s in samples}
        assert not {getattr(s, unit) for s in fold.train} & {getattr(s, unit) for s in fold.test}


@pytest.mark.parametrize("unit", ["video", "group"])
def test_make_folds(unit) -> None:
    samples = make(count=100, each=2, share=0.4)
    folds = make_folds(samples, 5, unit=unit, seed=1)
    assert [f.name for f in folds] == [f"fold{i}" for i in range(1, 6)]
    check(folds, samples, unit)
    for fold in folds:
        assert len(fold.test) == pytest.approx(40, abs=8)
        assert sum(s.answer == "yes" for s in fold.test) == pytest.approx(16, abs=8)


def test_folds_by_speaker() -> None:
    samples = [replace(s, speaker=f"p{i % 7}") for i, s in enumerate(make(70))]
    check(make_folds(samples, 5, unit="speaker"), samples, "speaker")


def test_seed_and_order() -> None:
    samples = make(60)
    mixed = random.Random(1).sample(samples, 60)
    fold_of = {s.id: s.split for s in assign_folds(samples, 4, seed=2)}
    assert {s.id: s.split for s in assign_folds(mixed, 4, seed=2)} == fold_of
    assert {s.id: s.split for s in assign_folds(samples, 4, seed=3)} != fold_of
    moved = [replace(s, video=f"/{i % 7}{s.video}") for i, s in enumerate(samples)]
    assert {s.id: s.split for s in assign_folds(moved, 4, seed=2)} == fold_of


def test_rare_answers_do_not_stop_it() -> None:
    samples = [*make(30), Sample("rare", "/v/rare.mp4", "?", choices=("a", "b"), answer="a")]
    check(make_folds(samples, 5), samples, "video")


def test_given_folds() -> None:
    samples = [replace(s, split=f"fold{1 + i % 10}") for i, s in enumerate(make(40))]
    folds = given_folds(samples)
    assert [f.name for f in folds][-1] == "fold10"
    assert all(len(f.test) == 4 and len(f.train) == 36 for f in folds)
    with pytest.raises(SettingsError, match="name no fold"):
        given_folds([*samples, replace(samples[0], id="x", split=None)])
    with pytest.raises(SettingsError, match="one fold only"):
        given_folds(samples[:1])


def test_too_few_units() -> None:
    with pytest.raises(SettingsError, match="5 folds of 4 videos"):
        make_folds(make(4), 5)
    with pytest.raises(SettingsError, match="1 folds"):
        make_folds(make(4), 1)


def test_hold_out() -> None:
    samples = make(count=200, share=0.5)
    split = hold_out(samples, {"test": 0.2, "val": 0.1}, seed=4)
    assert Counter(s.split for s in split) == {"train": 140, "val": 20, "test": 40}
    assert Counter(s.answer for s in split if s.split == "test") == {"yes": 20, "no": 20}
    grouped = hold_out(samples, {"test": 0.2}, unit="group")
    torn = Counter(g for g, _ in {(s.group, s.split) for s in grouped})
    assert set(torn.values()) == {1}
    for shares in ({"test": 0.6, "val": 0.4}, {"test": 0.0}):
        with pytest.raises(SettingsError, match="shares"):
            hold_out(samples, shares)
    with pytest.raises(SettingsError, match="2 videos are too few"):
        hold_out(make(2), {"test": 0.4, "val": 0.4})
