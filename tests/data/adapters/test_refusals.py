"""Files in the right form with a wrong content: the error names the file, the record, the fault."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import cases

from mtrans.core.errors import DatasetError

STEPS, QA = "yc2_annotations_trainval.json", "annotations.train.json"

Edit = Callable[[Any], Any]


def change(**fields: Any) -> Edit:
    """Changes fields of the first record, whatever it lies in."""

    def edit(value: Any) -> Any:
        first = value[0] if isinstance(value, list) else next(iter(value.values()))
        first.update(fields)
        return value

    return edit


def steps(**fields: Any) -> Edit:
    """Changes fields of the first step of the first video."""

    def edit(value: Any) -> Any:
        next(iter(value["database"].values()))["annotations"][0].update(fields)
        return value

    return edit


def folds(*tests: list[int]) -> Edit:
    return lambda _: [(np.array([0]), np.array(test)) for test in tests]


@pytest.mark.parametrize(
    ("name", "number", "file", "edit", "words"),
    [
        ("mustard", 0, "sarcasm_data.json", change(sarcasm=1), "1_1: sarcasm is int; wanted bool"),
        ("mustard", 0, "sarcasm_data.json", change(context=["a"]), "1 turns by 2 speakers"),
        ("mustard", 0, "split_indices.p", folds([0], [1, 3]), "fold 2 names clip 3 of 3"),
        ("mustard", 0, "split_indices.p", folds([0, 1], [1]), "clip 1 is in two folds"),
        ("mustard", 0, "split_indices.p", lambda _: {"a": 1}, "wanted a list of (train, test)"),
        ("ur_funny", 0, "data_folds.pkl", lambda _: {"train": [11], "dev": []}, "no field 'test'"),
        ("ur_funny", 0, "data_folds.pkl", lambda v: {**v, "test": [99]}, "names '99', which"),
        ("ur_funny", 0, "humor_label_sdk.pkl", lambda v: {**v, 12: 2}, "12: label 2; wanted 0"),
        ("ur_funny", 0, "language_sdk.pkl", lambda v: {**v, 11: {}}, "11: no field 'context_sent"),
        ("youcook2", 0, STEPS, steps(segment=[9, 3]), "wanted start < end"),
        ("youcook2", 0, STEPS, steps(segment=["3", 9]), "in seconds"),
        ("youcook2", 0, STEPS, steps(sentence=""), "step 0: segment"),
        ("qaego4d", 0, QA, change(moment_end_frame=299), "wanted start <= end"),
        ("qaego4d", 0, QA, change(answer=None), "item 0: answer is NoneType"),
        ("qaego4d", 1, QA, change(wrong_answers=[]), "wanted different texts"),
        ("qaego4d", 1, QA, change(answer="in the oven"), "different texts"),
    ],
)  # fmt: skip
def test_refused(name: str, number: int, file: str, edit: Edit, words: str, tmp_path: Path) -> None:
    case = cases(name)[number]
    annotations, _ = case.lay_out(tmp_path)
    path = annotations / file
    if path.suffix == ".json":
        path.write_text(json.dumps(edit(json.loads(path.read_text(encoding="utf-8")))))
    else:
        path.write_bytes(pickle.dumps(edit(pickle.loads(path.read_bytes())), protocol=2))
    with pytest.raises(DatasetError) as error:
        case.read(annotations, None)
    assert words in str(error.value)
    assert str(annotations) in str(error.value)


TABLE = "mustard++_text.csv"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",PRO,", ",SLY,", "1_1_u: sarcasm_type 'None'; wanted one of propositional"),
        ("1_2,1_2_c_00", "1_1,1_2_c_00", "scene 1_1 goes on after its labelled utterance"),
        ("1,EMB,Disgust,Surprise,,7", ",,,,,", "ends without the labelled utterance"),
        ("Sarcasm_Type", "Type", "no column 'Sarcasm_Type'; it has: SCENE, KEY"),
    ],
)
def test_mustard_pp_refused(old: str, new: str, words: str, tmp_path: Path) -> None:
    case = next(c for c in cases("mustard_pp") if c.options.get("task") == "sarcasm_type")
    annotations, _ = case.lay_out(tmp_path)
    path = annotations / TABLE
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DatasetError) as error:
        case.read(annotations, None)
    assert words in str(error.value)
