"""What needs no understanding: the commonest answer, and a classifier that never sees a frame.

    width, height, fps, duration, sound, codec, bytes (+ nuisances) --random forest--> answer

A data set's classes often come from different places, and the container tells which. A model that
is no better than this floor has shown nothing. Both answer from the same training clips as the
contenders. Needs no torch.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrans.core.errors import SettingsError, VideoError, did_you_mean
from mtrans.core.records import Fact, Prediction, Sample

MAJORITY, SHORTCUT = "majority", "shortcut floor"

CONTAINER = ("width", "height", "fps", "duration", "has_audio", "codec", "bytes")
"""What a container says without a frame being looked at."""

OWN = ("speaker", "group", "type")
"""Nuisances that are a sample's own fields; all others are its facts."""

TREES = 300

Facts = Mapping[str, Fact]
Guess = Callable[[Sequence[Sample], list[str], Sequence[Sample]], tuple[list[str], NDArray[Any]]]
"""Training samples, their classes, test samples -> classes and float[test, classes]."""


def majority(train: Sequence[Sample], test: Sequence[Sample]) -> list[Prediction]:
    """Answers with the commonest answer of the training samples, for each type of question."""

    def guess(
        some: Sequence[Sample], classes: list[str], asked: Sequence[Sample]
    ) -> tuple[list[str], NDArray[Any]]:
        counts = Counter(classes)
        shares = np.array(list(counts.values())) / len(classes)
        return list(counts), np.tile(shares, (len(asked), 1))

    return answer_by_kind(train, test, guess)


def shortcut(
    train: Sequence[Sample],
    test: Sequence[Sample],
    facts: Mapping[str, Facts],
    nuisance: Sequence[str] = (),
    seed: int = 0,
) -> list[Prediction]:
    """Answers with a random forest on container facts and declared nuisances.

    Args:
        train: Samples with answers.
        test: What to answer.
        facts: Video -> container facts, from :func:`container_facts`.
        nuisance: ``speaker``, ``group``, ``type`` or names of facts.
        seed: Of the forest.
    """
    from sklearn.ensemble import RandomForestClassifier

    def guess(
        some: Sequence[Sample], classes: list[str], asked: Sequence[Sample]
    ) -> tuple[list[str], NDArray[Any]]:
        rows = [_row(s, facts, nuisance) for s in (*some, *asked)]
        table = _encode(rows, len(some))
        forest = RandomForestClassifier(TREES, min_samples_leaf=2, random_state=seed)
        forest.fit(table[: len(some)], classes)
        return [str(c) for c in forest.classes_], forest.predict_proba(table[len(some) :])

    return answer_by_kind(train, test, guess)


def container_facts(samples: Iterable[Sample]) -> dict[str, Facts]:
    """Returns what each video's container says; nothing of a file that can't be opened."""
    from mtrans.video.decode import probe

    facts: dict[str, Facts] = {}
    for video in dict.fromkeys(s.video for s in samples if s.video is not None):
        try:
            info = probe(video)
        except VideoError:
            facts[video] = {}
            continue
        known = {name: getattr(info, name) for name in CONTAINER if name != "bytes"}
        facts[video] = {**known, "bytes": os.path.getsize(video)}
    return facts


def check_nuisance(names: Sequence[str], samples: Sequence[Sample]) -> None:
    """Holds that nuisances are known of some sample.

    Raises:
        SettingsError: One is known of none.
    """
    for name in names:
        if all(_nuisance(s, name) is None for s in samples):
            known = {*OWN, *(fact for s in samples for fact in s.facts)}
            raise SettingsError(f"nuisance '{name}': no sample has it{did_you_mean(name, known)}")


def answer_by_kind(
    train: Sequence[Sample], test: Sequence[Sample], guess: Guess
) -> list[Prediction]:
    """Guesses classes for each kind of question; a kind that training lacks gets no preference."""
    places = varying((*train, *test))
    by_kind: dict[tuple[Any, ...], tuple[list[Sample], list[Sample]]] = defaultdict(
        lambda: ([], [])
    )
    for part, samples in enumerate((train, test)):
        for s in samples:
            if part == 1 or s.answer is not None:
                by_kind[_kind(s, places)][part].append(s)
    found = {}
    for kind, (some, asked) in by_kind.items():
        if not asked:
            continue
        names: list[str] = []
        shares = np.zeros((len(asked), 0))
        if some:
            names, shares = guess(some, [_class(s, places) for s in some], asked)
        for sample, row in zip(asked, shares, strict=True):
            found[sample.id] = _prediction(sample, dict(zip(names, row, strict=True)), kind)
    return [found[s.id] for s in test]


def _prediction(sample: Sample, shares: Mapping[str, float], kind: tuple[Any, ...]) -> Prediction:
    common: dict[str, Any] = {
        name: getattr(sample, name)
        for name in (
            *("id", "video", "question", "choices", "label", "type", "speaker", "group"),
            *("split", "facts", "start", "end"),
        )
    }
    if sample.choices is None:
        answer = max(shares, key=lambda name: shares[name], default="")
        return Prediction(**common, answer=answer, target=sample.answer, parse="open")
    keys = [str(i) for i in range(len(sample.choices))] if kind[1] == "place" else sample.choices
    weights = np.array([float(shares.get(key, 0.0)) for key in keys])
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(keys), 1 / len(keys))
    choice = int(np.argmax(weights))
    return Prediction(
        **common,
        answer=sample.choices[choice],
        target=sample.answer,
        choice=choice,
        probabilities=tuple(map(float, weights)),
        parse="scored",
    )


def varying(samples: Iterable[Sample]) -> set[str | None]:
    """Returns the types whose candidates differ from question to question."""
    sets: dict[str | None, set[frozenset[str]]] = defaultdict(set)
    for s in samples:
        if s.choices is not None:
            sets[s.type].add(frozenset(s.choices))
    return {name for name, found in sets.items() if len(found) > 1}


def _kind(sample: Sample, places: set[str | None]) -> tuple[Any, ...]:
    if sample.choices is None:
        return sample.type, "open"
    return sample.type, "place" if sample.type in places else "text"


def _class(sample: Sample, places: set[str | None]) -> str:
    if sample.choices is not None and sample.type in places:
        return str(sample.label)
    return sample.answer or ""


def _row(sample: Sample, facts: Mapping[str, Facts], nuisance: Sequence[str]) -> list[Fact]:
    known = facts.get(sample.video or "", {})
    row = [known.get(name) for name in CONTAINER]
    if sample.start is not None or sample.end is not None:  # the clip's own length
        end = sample.end if sample.end is not None else known.get("duration")
        if isinstance(end, int | float):
            row[CONTAINER.index("duration")] = end - (sample.start or 0.0)
    return row + [_nuisance(sample, name) for name in nuisance]


def _nuisance(sample: Sample, name: str) -> Fact:
    if name in OWN:
        found: Fact = getattr(sample, name)
        return found
    return sample.facts.get(name)


def _encode(rows: Sequence[Sequence[Fact]], train: int) -> NDArray[np.float64]:
    """Returns float[n, d]: numbers as they are (-1 where unknown), words seen in training 1-hot."""
    columns: list[list[float]] = []
    for values in zip(*rows, strict=True):
        if any(isinstance(v, str) for v in values):
            for word in sorted({str(v) for v in values[:train]}):
                columns.append([float(str(v) == word) for v in values])
        else:
            columns.append([-1.0 if v is None else float(v) for v in values])
    return np.array(columns, dtype=np.float64).T
