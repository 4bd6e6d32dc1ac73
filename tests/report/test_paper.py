"""The paper's table: every published figure is cited, ours are measured, neither is mixed up."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from measure.helpers import choice_prediction, open_prediction
from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.data.adapters import ADAPTERS
from mtrans.measure.metrics import METRICS
from mtrans.measure.predictions import write_predictions
from mtrans.report.paper import published, tables, to_csv, to_latex, to_markdown
from mtrans.report.paper_sets import SETS


def test_every_row_is_cited_and_every_column_can_be_measured():
    known = published()
    for entry in known["sets"].values():
        assert all(c["metric"] in METRICS for c in entry["columns"].values())
        for row in entry["rows"]:
            assert row["source"] in known["sources"]
            assert set(row["values"]) <= set(entry["columns"])
            assert all(0 < value < 100 for value in row["values"].values())


def test_published_alone_in_three_forms():
    made = tables()
    page = to_markdown(made)
    assert "| MTransLLAMA | V+T | 26.5 | 46.0 | 40.0 | 53.0 | published [1] |" in page
    assert "doi 10.1109/TMM.2025.3557692" in page
    assert "| ours |" not in page
    assert r"MUStARD, 5 folds" in to_latex(made)
    assert r"\&" not in to_latex(made)
    lines = list(csv.DictReader(io.StringIO(to_csv(made))))
    star = [x for x in lines if x["set"] == "mustard_star" and x["method"] == "Qwen2-VL-72B"]
    assert [(x["value"], x["status"]) for x in star] == [("0.746", "published")]


def test_ours_stand_beside_with_intervals(tmp_path: Path):
    run = tmp_path / "first_run"
    found = [choice_prediction(i, 0, i % 4, id=f"mustard-{i}", split="fold1") for i in range(8)]
    write_predictions(run / "predictions.jsonl", found)
    (table,) = tables([("mustard", run)])
    assert [line.status for line in table.lines] == ["published"] * 3 + ["ours"]
    page = to_markdown([table])
    assert "| first_run (8 of 690 questions) |  | 25.0 [" in page
    assert r"first\_run" in to_latex([table])


def test_rows_of_a_cross_validation_and_kinds_of_question(tmp_path: Path):
    protocol = {"protocol": {"by": "group"}}
    (tmp_path / "crossval.json").write_text(json.dumps(protocol))
    for name, right in (("mtrans", 0), ("text", 1)):
        found = [
            choice_prediction(
                i,
                0,
                right,
                id=f"mvbench-moving_count-{i}#0",
                type="moving_count",
                group=f"g{i % 3}",
            )
            for i in range(9)
        ]
        other = {"id": "mvbench-moving_direction-9#0", "type": "moving_direction", "group": "g0"}
        found.append(choice_prediction(9, 0, 3, **other))
        write_predictions(tmp_path / "pooled" / name / "predictions.jsonl", found)
    lines = tables([("clevrer", tmp_path)])[0].lines[-2:]
    part = "(10 of 800 questions)"
    assert [line.method for line in lines] == [f"mtrans {part}", f"text {part}"]
    assert [line.scores["MC"].value for line in lines] == [1, 0]
    assert lines[0].scores["MC"].clusters == 3
    assert "MA" not in lines[0].scores


def test_open_answers(tmp_path: Path):
    found = [
        dataclasses.replace(open_prediction(i, "a red cup", "the red cup"), id=f"qaego4d-test-{i}")
        for i in range(3)
    ]
    write_predictions(tmp_path / "run" / "predictions.jsonl", found)
    line = tables([("qaego4d", tmp_path / "run")])[0].lines[-1]
    assert line.scores["accuracy"].value == 1
    assert 0 < line.scores["METEOR"].value <= 1


def test_what_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(SettingsError, match="mustard"):
        tables([("mustrd", tmp_path)])
    with pytest.raises(CheckpointError, match="mtrans eval"):
        tables([("mustard", tmp_path)])


def _answers(folder: Path, name: str, split: str | None, n: int, seeds: int = 1) -> Path:
    found = [
        choice_prediction(i, 0, i % 2, id=f"{name}-{i}" + f"#{seed}" * (seeds > 1), split=split)
        for i in range(n)
        for seed in range(seeds)
    ]
    write_predictions(folder / "predictions.jsonl", found)
    return folder


@pytest.mark.parametrize(
    ("wanted", "name", "split", "n", "said"),
    [
        ("mustard", "ur_funny", "test", 5, "5 of 5 answers are to another data set's questions"),
        ("mustard", "mustard_pp", "fold1", 5, "e.g. 'mustard_pp-0', wanted 'mustard-...'"),
        ("clevrer", "physics-test", "test", 5, "data prepare mvbench --split-scheme official"),
        ("mustard", "mustard", "test", 5, "the split 'test', the published rows are of folds"),
        ("mustard_star", "mustard", "fold1", 5, "'fold1', the published rows are of the split"),
        ("mustard_star", "mustard", "val", 5, "'val', the published rows are of the split 'test'"),
        # the speaker-independent split's test part, whose questions have the same names
        ("mustard_star", "mustard", "test", 356, "356 questions, the published rows are of 138"),
    ],
)
def test_answers_to_other_questions_are_refused(tmp_path, wanted, name, split, n, said):
    with pytest.raises(SettingsError) as caught:
        tables([(wanted, _answers(tmp_path, name, split, n))])
    assert said in str(caught.value)
    assert f"{wanted}={tmp_path}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_strange_answer_is_enough(tmp_path: Path):
    found = [choice_prediction(i, 0, 0, id=f"mustard-{i}", split="test") for i in range(4)]
    write_predictions(tmp_path / "predictions.jsonl", [*found, choice_prediction(9, 0, 0)])
    with pytest.raises(SettingsError, match="1 of 5 answers"):
        tables([("mustard_star", tmp_path)])


def test_all_of_a_sets_questions_carry_no_remark(tmp_path: Path):
    """Seeds of one question are one question, and answers may name no split."""
    (table,) = tables([("mustard_star", _answers(tmp_path / "all", "mustard", None, 138, seeds=2))])
    assert table.lines[-1].method == "all"


def test_every_published_set_says_where_it_is_from():
    assert set(SETS) == set(published()["sets"])
    for name, origin in SETS.items():
        columns = published()["sets"][name]["columns"].values()
        scheme = ADAPTERS.get(origin.adapter).schemes[origin.scheme]
        assert scheme.sizes
        assert {c["type"] for c in columns if "type" in c} == set(origin.types)
