from __future__ import annotations

import json

import pytest

from measure.helpers import choice_prediction, open_prediction
from mtrans.core.records import Prediction
from mtrans.measure.predictions import (
    PredictionsError,
    PredictionWriter,
    read_predictions,
    write_predictions,
)

FULL = Prediction(
    id="a",
    video="/clips/ä.mp4",
    question='Which way? <b>"left"</b>\n',
    answer="left",
    target="left",
    choices=("left", "right"),
    label=0,
    choice=0,
    probabilities=(0.75, 0.25),
    log_likelihoods=(-1.5, -2.5),
    parse="scored",
    ms=12.5,
    tokens={"visual": 8, "prompt": 11},
    type="direction",
    speaker="ann",
    group="g",
    split="test",
    facts={"objects": 3, "speed": 0.5, "occluded": True, "world": "physics"},
    start=1.0,
    end=2.5,
)


def test_every_field_survives_the_round_trip(tmp_path):
    path = tmp_path / "run" / "predictions.jsonl"
    bad_clip = Prediction(
        id="b", video=None, question="?", answer="", parse="failed", error="no video stream"
    )
    write_predictions(path, [FULL, bad_clip])
    assert read_predictions(path) == [FULL, bad_clip]


@pytest.mark.parametrize(
    ("change", "field", "part"),
    [
        ({"id": 3}, "id", "wanted text"),
        ({"answer": None}, "answer", "wanted text"),
        ({"label": 2}, "label", "index below 2"),
        ({"label": True}, "label", "index below 2"),
        ({"choice": -1}, "choice", "index below 2"),
        ({"target": "right"}, "target", "choices[0]"),
        ({"probabilities": [0.5]}, "probabilities", "2 finite numbers"),
        ({"probabilities": [0.5, 0.9]}, "probabilities", "sum to 1"),
        ({"probabilities": [float("nan"), 1.0]}, "probabilities", "2 finite numbers"),
        ({"choices": None}, "label", "without 'choices'"),
        ({"parse": "scord"}, "parse", "did you mean 'scored'"),
        ({"facts": {"x": [1]}}, "facts", "words, numbers"),
        ({"tokens": {"visual": 1.5}}, "tokens", "whole numbers"),
        ({"ms": "fast"}, "ms", "finite number"),
        ({"anwser": "left"}, "anwser", "did you mean 'answer'"),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path, change, field, part):
    path = tmp_path / "p.jsonl"
    good = json.dumps(FULL.to_json())
    bad = json.dumps({**FULL.to_json(), "id": "b", **change})
    path.write_text(f"{good}\n{bad}\n")
    with pytest.raises(PredictionsError) as error:
        read_predictions(path)
    message = str(error.value)
    assert message.startswith(f"{path}:2: ")
    assert f"'{field}'" in message
    assert part in message
    assert "\n" not in message


def test_missing_empty_and_doubled_files_are_errors(tmp_path):
    with pytest.raises(PredictionsError, match="can't be read"):
        read_predictions(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(PredictionsError, match="holds no prediction"):
        read_predictions(tmp_path / "empty.jsonl")
    write_predictions(tmp_path / "twice.jsonl", [FULL, FULL])
    with pytest.raises(PredictionsError, match="already on line 1"):
        read_predictions(tmp_path / "twice.jsonl")


def test_writer_resumes_after_a_cut_line(tmp_path):
    path = tmp_path / "p.jsonl"
    items = [choice_prediction(i, 0, 1) for i in range(4)]
    with PredictionWriter(path) as writer:
        for item in items[:3]:
            writer.write(item)
            assert path.read_bytes().endswith(b"\n")  # flushed at once
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(PredictionsError, match="last line is cut"):
        read_predictions(path)
    with PredictionWriter(path) as writer:
        assert writer.done == {"q0", "q1"}
        assert writer.recovered is not None
        assert ":3:" in writer.recovered
        with pytest.raises(PredictionsError, match="already in the file"):
            writer.write(items[0])
        for item in items[2:]:
            writer.write(item)
    assert read_predictions(path) == items


def test_writer_keeps_a_whole_last_line_that_lacks_its_newline(tmp_path):
    path = tmp_path / "p.jsonl"
    write_predictions(path, [open_prediction(0, "a", "b")])
    path.write_bytes(path.read_bytes()[:-1])
    with PredictionWriter(path) as writer:
        assert writer.recovered is None
        writer.write(open_prediction(1, "a", "b"))
    assert [p.id for p in read_predictions(path)] == ["o0", "o1"]


def test_writer_recovers_a_file_that_is_one_cut_line(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "vid')
    with PredictionWriter(path) as writer:
        assert writer.done == set()
        writer.write(FULL)
    assert read_predictions(path) == [FULL]


def test_nan_is_refused_on_writing(tmp_path):
    with (
        PredictionWriter(tmp_path / "p.jsonl") as writer,
        pytest.raises(PredictionsError, match="can't be written"),
    ):
        writer.write(open_prediction(0, "a", "b", ms=float("nan")))
