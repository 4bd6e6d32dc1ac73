"""Splits of a data set: folds that came with it, stratified and grouped folds, a hold-out.

Nothing that is kept together (a video at least) ever stands on both sides. Needs no torch.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.data.subsets import Unit, order_units, strata_of, units_of


@dataclass(frozen=True)
class Fold:
    """One round of a cross-validation.

    Attributes:
        name: ``fold1``, ... or the name that came with the data.
        train: Samples to train on, in their given order.
        test: Samples to test on.
        repeat: Which partition of the data it belongs to; folds of one never share a test sample.
    """

    name: str
    train: list[Sample]
    test: list[Sample]
    repeat: int = 1


def given_folds(samples: Sequence[Sample]) -> list[Fold]:
    """Returns the folds that the samples' `split` names; each is the test set once.

    Raises:
        SettingsError: A sample names none, or there is only one.
    """
    missing = [s.id for s in samples if s.split is None]
    if missing:
        raise SettingsError(f"{len(missing)} samples name no fold ('{missing[0]}' is the first)")
    names = sorted({s.split or "" for s in samples}, key=split_order)
    if len(names) < 2:
        raise SettingsError(f"one fold only ({', '.join(names)}); wanted two or more")
    return [
        Fold(
            name,
            [s for s in samples if s.split != name],
            [s for s in samples if s.split == name],
        )
        for name in names
    ]


def make_folds(
    samples: Sequence[Sample], count: int, *, unit: Unit = "video", seed: int = 0
) -> list[Fold]:
    """Makes stratified folds with scikit-learn's StratifiedGroupKFold.

    Args:
        samples: All samples.
        count: Number of folds.
        unit: What is kept together.
        seed: Another seed gives other folds.

    Returns:
        The folds, ``fold1`` first.

    Raises:
        SettingsError: There are fewer units than folds, or a sample lacks its unit.
    """
    return given_folds(assign_folds(samples, count, unit=unit, seed=seed))


def assign_folds(
    samples: Sequence[Sample], count: int, *, unit: Unit = "video", seed: int = 0
) -> list[Sample]:
    """Like :func:`make_folds`, but writes the fold in which a sample is tested into its `split`."""
    from sklearn.model_selection import StratifiedGroupKFold

    names = units_of(samples, unit)
    distinct = len(set(names))
    if count < 2 or distinct < count:
        raise SettingsError(
            f"{count} folds of {distinct} {unit}s; wanted two folds or more, and a {unit} for each"
        )
    # what the splitter draws depends on the order of samples and on the groups' labels: ids fix
    # both, so that neither the file's order nor the videos' place matters
    order = sorted(range(len(samples)), key=lambda i: samples[i].id)
    label = {name: n for n, name in enumerate(dict.fromkeys(names[i] for i in order))}
    strata = _common(strata_of(samples), count)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    split = [""] * len(samples)
    with warnings.catch_warnings():
        # a stratum smaller than the number of folds can't be in each of them; so be it
        warnings.filterwarnings("ignore", message="The least populated class")
        rounds = splitter.split(order, [strata[i] for i in order], [label[names[i]] for i in order])
        for number, (_, test) in enumerate(rounds, 1):
            for place in test:
                split[order[place]] = f"fold{number}"
    if len(set(split)) < count:
        raise SettingsError(
            f"{count} folds can't be filled from {distinct} {unit}s of unequal size; make fewer"
        )
    return [replace(s, split=name) for s, name in zip(samples, split, strict=True)]


def hold_out(
    samples: Sequence[Sample],
    shares: dict[str, float],
    *,
    rest: str = "train",
    unit: Unit = "video",
    seed: int = 0,
) -> list[Sample]:
    """Sets parts aside: stratified by unit, nothing kept together is torn apart.

    Args:
        samples: All samples.
        shares: Split -> share of the samples: ``{"test": 0.15, "val": 0.15}``. A part is filled
            unit by unit until it holds its share, so that large units make it a little larger.
        rest: Split of what is left.
        unit: What is kept together.
        seed: Another seed gives other parts.

    Returns:
        The samples in their given order, with `split` filled in.

    Raises:
        SettingsError: The shares leave nothing, or there are too few units.
    """
    if any(not 0 < share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        raise SettingsError(f"shares {shares}: wanted each above 0 and their sum below 1")
    names = units_of(samples, unit)
    sizes = Counter(names)
    order = iter(order_units(samples, names, seed))
    where: dict[str, str] = {}
    for split, share in shares.items():
        held = 0
        while held < share * len(samples):
            name = next(order, None)
            if name is None:
                break
            where[name] = split
            held += sizes[name]
    if set(where) == set(names) or len(set(where.values())) < len(shares):
        raise SettingsError(
            f"{len(sizes)} {unit}s are too few for the splits {', '.join([rest, *shares])}"
        )
    return [replace(s, split=where.get(n, rest)) for s, n in zip(samples, names, strict=True)]


def _common(strata: list[str], count: int) -> list[str]:
    """Puts strata smaller than the number of folds into one."""
    sizes = Counter(strata)
    return [s if sizes[s] >= count else "rare" for s in strata]


def split_order(name: str) -> tuple[int, str, int]:
    """Sorts train, val, test in this order, and fold2 before fold10."""
    usual = ("train", "val", "test")
    stem = name.rstrip("0123456789")
    rank = usual.index(name) if name in usual else len(usual)
    return rank, stem, int(name[len(stem) :] or 0)
