from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from measure.helpers import choice_prediction, open_prediction
from mtrans.core.files import file_hash
from mtrans.core.records import Prediction, Turn
from mtrans.measure.breakdown import breakdown, slices
from mtrans.measure.predictions import PredictionsError, write_predictions
from mtrans.measure.score import read_scores, score_predictions, scores_path


def many() -> list[Prediction]:
    """Right on 'count' and wrong on 'motion'; speed 0 to 9.9; objects 1 to 3; own groups."""
    return [
        choice_prediction(
            i,
            0,
            0 if i % 2 else 1,
            type="count" if i % 2 else "motion",
            speaker="ann" if i < 30 else "bob",
            group=f"g{i}",
            facts={
                "speed": i / 10,
                "objects": 1 + i % 3,
                "occluded": i % 4 == 0,
                "world": "physics",
            },
        )
        for i in range(100)
    ]


def test_breakdown_by_type_speaker_and_every_fact():
    scores = {next(iter(s.slice.items())): s for s in breakdown(many(), resamples=200)}
    assert scores["type", "count"].value == 1
    assert scores["type", "motion"].value == 0
    assert scores["type", "motion"].chance == 0.25
    assert scores["type", "motion"].n == 50
    assert scores["speaker", "ann"].n == 30
    assert {v for k, v in scores if k == "facts.objects"} == {1, 2, 3}
    assert {v for k, v in scores if k == "facts.occluded"} == {True, False}
    bins = [v for k, v in scores if k == "facts.speed"]
    assert bins == ["0 to 2.4", "2.5 to 4.9", "5 to 7.4", "7.5 to 9.9"]
    assert all(scores["facts.speed", b].n == 25 for b in bins)
    assert not any(k == "facts.world" for k, _ in scores)  # one value only: nothing to compare
    for score in scores.values():
        assert score.low <= score.value <= score.high


def test_a_key_with_too_many_words_is_left_out_and_named():
    parts, notes = slices(many())
    assert "group" not in parts
    assert notes == ["no break-down by group: 100 distinct values"]


def test_every_prediction_falls_in_exactly_one_bin_even_with_ties():
    values = [0.0] * 40 + [1.0] * 5 + [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    items = [choice_prediction(i, 0, 0, facts={"x": v}) for i, v in enumerate(values)]
    parts, _ = slices(items)
    assert sum(len(p) for p in parts["facts.x"].values()) == len(items)
    for part in parts["facts.x"].values():
        assert part


def test_scores_file_holds_numbers_settings_and_hash(tmp_path):
    path = tmp_path / "predictions.jsonl"
    unknown = Prediction(id="u", video=None, question="?", answer="x", parse="open")
    write_predictions(path, [*many(), unknown])
    scores = score_predictions(path, resamples=200, seed=3)
    again, document = read_scores(tmp_path / "scores.json")
    assert again == scores
    assert document["schema"] == 1
    assert document["sha256"] == file_hash(path)
    assert document["n"] == 101
    assert document["without_target"] == 1
    assert document["interval"]["resamples"] == 200
    assert document["metrics"]["accuracy"].startswith("Share of right answers")
    overall = {s.metric: s for s in scores if not s.slice}
    assert set(overall) == {"accuracy", "balanced_accuracy", "macro_f1", "parse_failures"}
    assert overall["accuracy"].value == 0.5
    assert (overall["accuracy"].n, overall["accuracy"].clusters) == (100, 100)
    first = (tmp_path / "scores.json").read_bytes()
    score_predictions(path, resamples=200, seed=3)
    assert (tmp_path / "scores.json").read_bytes() == first


def test_metrics_follow_the_task_and_mixed_files_get_both(tmp_path):
    path = tmp_path / "predictions_val.jsonl"
    items = [open_prediction(i, "pour oil", "pour the oil") for i in range(3)]
    write_predictions(path, items)
    names = {s.metric for s in score_predictions(path, resamples=50)}
    assert {"exact_match", "rouge_1", "rouge_2", "rouge_l", "parse_failures"} <= names
    assert any(name.startswith("meteor") for name in names)
    assert "accuracy" not in names
    assert scores_path(path).name == "scores_val.json"
    assert scores_path(path).exists()
    write_predictions(path, [*items, choice_prediction(9, 0, 0)])
    scores = {s.metric: s for s in score_predictions(path, resamples=50) if not s.slice}
    assert scores["accuracy"].n == 1
    assert scores["accuracy"].low is None
    assert scores["exact_match"].n == 3
    assert scores["parse_failures"].n == 4


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("predictions.jsonl", "scores.json"),
        ("predictions_val.jsonl", "scores_val.json"),
        ("val.jsonl", "val.scores.json"),
        ("a.jsonl", "a.scores.json"),
        ("predictions-a.jsonl", "predictions-a.scores.json"),
    ],
)
def test_each_file_has_scores_of_its_own(tmp_path, file, wanted):
    assert scores_path(tmp_path / file) == tmp_path / wanted


def test_scores_of_one_file_leave_those_of_another(tmp_path):
    right, wrong = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write_predictions(right, [choice_prediction(i, 0, 0) for i in range(3)])
    write_predictions(wrong, [choice_prediction(i, 0, 1) for i in range(3)])
    for path in (right, wrong):
        score_predictions(path, resamples=50)
    for path, value in ((right, 1.0), (wrong, 0.0)):
        scores, about = read_scores(scores_path(path))
        assert about["predictions"] == path.name
        assert next(s for s in scores if s.metric == "accuracy" and not s.slice).value == value
    assert not (tmp_path / "scores.json").exists()


def test_without_any_target_nothing_can_be_measured(tmp_path):
    path = tmp_path / "p.jsonl"
    write_predictions(path, [Prediction(id="u", video=None, question="?", answer="x")])
    with pytest.raises(PredictionsError, match="known right answer"):
        score_predictions(path)


def test_a_damaged_or_foreign_scores_file_is_an_error(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("{")
    with pytest.raises(PredictionsError, match="not a scores file"):
        read_scores(path)
    path.write_text(json.dumps({"schema": 99, "scores": []}))
    with pytest.raises(PredictionsError, match="schema 99"):
        read_scores(path)


def test_measuring_imports_no_torch():
    code = (
        "import sys, mtrans.measure.score, mtrans.measure.compare; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_turns_of_the_dialogue_are_a_part_unless_a_fact_tells_the_same():
    said = [tuple(Turn("a", "b") for _ in range(1 + i % 3)) for i in range(12)]
    items = [choice_prediction(i, 0, i % 2, context=turns) for i, turns in enumerate(said)]
    parts, _ = slices(items)
    assert {count: len(part) for count, part in parts["context_turns"].items()} == {
        1: 4,
        2: 4,
        3: 4,
    }
    told = [dataclasses.replace(p, facts={"turns": len(p.context)}) for p in items]
    assert set(slices(told)[0]) == {"facts.turns"}
    assert "context_turns" not in slices([choice_prediction(i, 0, 0) for i in range(4)])[0]
