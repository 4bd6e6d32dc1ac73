"""Rows of a study that are not trained in it: floors, which see no frame, and other systems.

    <data>/<floor>/predictions.jsonl            made here, from the same training questions
    outside/<data>/<system>/predictions.jsonl   put there by `mtrans import-predictions --out`

They stand in the same tables as the contenders, and `mtrans compare` reads them too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mtrans.core.errors import SettingsError
from mtrans.core.files import write_text
from mtrans.core.records import Prediction, Sample
from mtrans.data.manifest import read_manifest
from mtrans.measure.predictions import read_predictions, write_predictions
from mtrans.study.floors import container_facts, majority, shortcut
from mtrans.study.parts import OUTSIDE, Data
from mtrans.study.plan import StudyPlan
from mtrans.study.results import Row, measure_seeds
from mtrans.study.svm_text import svm_text
from mtrans.train.circumstances import describe_data

Answer = Callable[[Sequence[Sample], Sequence[Sample]], list[Prediction]]


def _shortcut(train: Sequence[Sample], test: Sequence[Sample]) -> list[Prediction]:
    return shortcut(train, test, container_facts((*train, *test)))


ANSWER: dict[str, Answer] = {"majority": majority, "shortcut": _shortcut, "svm-text": svm_text}
"""Name in a plan's `floors` -> what answers."""


def floor_rows(
    plan: StudyPlan,
    data: Data,
    folder: Path,
    reference: Mapping[int, Sequence[Prediction]],
    name: str,
) -> list[Row]:
    """Returns the rows of a plan's floors and of other systems on one data set.

    Args:
        plan: The plan.
        data: The data set; without manifests (nothing is drawn yet) there are no rows.
        folder: The study's folder.
        reference: Answers that they are compared with, by seed; may be empty.
        name: What the table calls those.

    Raises:
        ManifestError: A manifest is damaged.
        PredictionsError: The reference's questions are others.
        SettingsError: Another system is called as a contender or a floor is.
    """
    rows = []
    answers = {floor: _answers(floor, data, folder) for floor in plan.floors}
    for contender, same in {**answers, **_outside(plan, data, folder)}.items():
        if same is None:
            continue
        row = measure_seeds({plan.seeds[0]: same}, data.motion_types)
        row = replace(row, data=data.name, contender=contender, seeds=[])
        if reference:  # the same answers stand against each of its seeds
            both = measure_seeds(dict.fromkeys(reference, same), data.motion_types, reference)
            row = replace(
                row,
                reference=name,
                against=both.against,
                against_motion=both.against_motion,
            )
        rows.append(row)
    return rows


def _outside(plan: StudyPlan, data: Data, folder: Path) -> dict[str, list[Prediction]]:
    """Reads the answers of other systems to a data set's test questions."""
    found = {}
    for file in sorted((folder / OUTSIDE / data.name).glob("*/predictions.jsonl")):
        name = file.parent.name
        if name in (*plan.contenders, *plan.floors):
            raise SettingsError(f"'{file.parent}' is called as a row of the study is; rename it")
        found[name] = read_predictions(file)
    return found


def _answers(floor: str, data: Data, folder: Path) -> list[Prediction] | None:
    """Answers, or reads the answers again where they are from the same questions."""
    places = (data.manifest(split, folder) for split in ("train", "test"))
    train, test = (read_manifest(p) if p is not None and p.exists() else None for p in places)
    if train is None or test is None:
        return None
    train = [s for s in train if not data.types or s.type in data.types]
    made_of = {"train": describe_data(train), "test": describe_data(test)}
    file = folder / data.name / floor / "predictions.jsonl"
    record = file.with_suffix(".meta.json")
    if _made_of(record) == made_of and file.exists():
        return read_predictions(file)
    record.unlink(missing_ok=True)  # what was stopped between the two files is made again
    found = ANSWER[floor](train, test)
    write_predictions(file, found)
    write_text(record, json.dumps({"data": made_of}, indent=1) + "\n")
    return found


def _made_of(record: Path) -> object:
    """Returns what answers were made of; None where it is not known."""
    try:
        return json.loads(record.read_text(encoding="utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
