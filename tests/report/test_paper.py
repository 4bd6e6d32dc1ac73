"""The paper's table: every published figure is cited, ours are measured, neither is mixed up."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from measure.helpers import choice_prediction, open_prediction
from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.measure.metrics import METRICS
from mtrans.measure.predictions import write_predictions
from mtrans.report.paper import published, tables, to_csv, to_latex, to_markdown


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
    write_predictions(run / "predictions.jsonl", [choice_prediction(i, 0, i % 4) for i in range(8)])
    (table,) = tables([("mustard", run)])
    assert [line.status for line in table.lines] == ["published"] * 3 + ["ours"]
    page = to_markdown([table])
    assert "| first_run |  | 25.0 [" in page
    assert r"first\_run" in to_latex([table])


def test_rows_of_a_cross_validation_and_kinds_of_question(tmp_path: Path):
    protocol = {"protocol": {"by": "group"}}
    (tmp_path / "crossval.json").write_text(json.dumps(protocol))
    for name, right in (("mtrans", 0), ("text", 1)):
        found = [
            choice_prediction(i, 0, right, type="moving_count", group=f"g{i % 3}") for i in range(9)
        ]
        found.append(choice_prediction(9, 0, 3, type="moving_direction", group="g0"))
        write_predictions(tmp_path / "pooled" / name / "predictions.jsonl", found)
    lines = tables([("clevrer", tmp_path)])[0].lines[-2:]
    assert [line.method for line in lines] == ["mtrans", "text"]
    assert [line.scores["MC"].value for line in lines] == [1, 0]
    assert lines[0].scores["MC"].clusters == 3
    assert "MA" not in lines[0].scores


def test_open_answers(tmp_path: Path):
    found = [open_prediction(i, "a red cup", "the red cup") for i in range(3)]
    write_predictions(tmp_path / "run" / "predictions.jsonl", found)
    line = tables([("qaego4d", tmp_path / "run")])[0].lines[-1]
    assert line.scores["accuracy"].value == 1
    assert 0 < line.scores["METEOR"].value <= 1


def test_what_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(SettingsError, match="mustard"):
        tables([("mustrd", tmp_path)])
    with pytest.raises(CheckpointError, match="mtrans eval"):
        tables([("mustard", tmp_path)])
