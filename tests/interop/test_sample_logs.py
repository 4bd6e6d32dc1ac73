"""lmms-eval's sample logs; `real/` holds six lines that lmms-eval 0.7.3 wrote of our plugin."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.core.records import Prediction, Sample, Turn
from mtrans.data.manifest import read_manifest
from mtrans.interop.sample_logs import from_jsonl, from_log, import_predictions, to_log
from mtrans.measure.compare import compare
from mtrans.measure.predictions import PredictionsError, read_predictions

REAL = Path(__file__).parent / "real"
LOG = REAL / "lmms_eval_0.7.3_samples.jsonl"


@pytest.fixture
def asked() -> list[Sample]:
    return read_manifest(REAL / "manifest.jsonl")


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_real_log(asked, tmp_path):
    made = import_predictions(LOG, "lmms-eval", tmp_path / "run", asked)
    assert read_predictions(tmp_path / "run" / "predictions.jsonl") == made
    assert [p.id for p in made] == [s.id for s in asked]
    assert [p.video for p in made] == [s.video for s in asked]
    for p, record in zip(made, lines(LOG), strict=True):
        assert record["input"] == p.question
        assert record["acc"] == float(p.choice == p.label)
        assert p.log_likelihoods[p.choice] == max(p.log_likelihoods)
        assert sum(p.probabilities) == pytest.approx(1)
    source = json.loads((tmp_path / "run" / "predictions.meta.json").read_text())
    assert source["imported"]["form"] == "lmms-eval"
    other = [replace(p, choice=p.label, answer=p.target) for p in made]
    accuracy = {c.metric: c for c in compare(made, other)}["accuracy"]
    assert accuracy.other == 1
    assert accuracy.reference == sum(r["acc"] for r in lines(LOG)) / 6


def test_a_real_log_of_another_manifest_is_refused(asked, tmp_path):
    with pytest.raises(PredictionsError, match=r"document 5, but --samples has 5 lines"):
        from_log(lines(LOG), asked[:5], "log")
    with pytest.raises(PredictionsError, match=r"log:1: the right answer is '0'.*it is 'no'"):
        from_log(lines(LOG), asked[1:] + asked[:1], "log")
    with pytest.raises(PredictionsError, match=r"give --samples"):
        from_log(lines(LOG), None, "log")
    with pytest.raises(PredictionsError, match=r"document 0 is there twice"):
        from_log(lines(LOG)[:1] * 2, asked, "log")
    with pytest.raises(PredictionsError, match=r"no 'doc_id'"):
        from_log([{"id": "a"}], asked, "log")
    import_predictions(LOG, "lmms-eval", tmp_path, asked)
    with pytest.raises(PredictionsError, match=r"exists already"):
        import_predictions(LOG, "lmms-eval", tmp_path, asked)


def test_the_export_has_what_a_real_log_has(asked):
    made = from_log(lines(LOG), asked, "log")
    for ours, real in zip(to_log(made), lines(LOG), strict=True):
        assert set(ours) == set(real) | {"doc"}
        for key in ("doc_id", "target", "acc", "input"):
            assert ours[key] == real[key]
        said = [[str(loss), str(greedy)] for loss, greedy in ours["filtered_resps"]]
        assert said == real["filtered_resps"]
    assert from_log(to_log(made), None, "log") == made


def test_a_choice_that_a_calibration_moved_is_still_the_choice_after_export_and_import(asked):
    plain = from_log(lines(LOG)[:1], asked, "log")[0]
    other = 1 - plain.choice
    likely = tuple(0.7 if n == other else 0.3 for n in range(2))
    moved = replace(plain, choice=other, answer=plain.choices[other], probabilities=likely)
    back = from_log(to_log([moved]), None, "log")[0]
    assert (back.choice, back.answer) == (other, plain.choices[other])
    assert back.probabilities == pytest.approx(likely)


def test_generated_answers():
    mc = Sample("a", "/v.mp4", "which ?", "left", ("left", "right"), 0, facts={"n": 1})
    records = [
        {"doc_id": 1, "target": "left", "filtered_resps": "(B)", "input": "which ?"},
        {"doc_id": 0, "target": "0", "filtered_resps": ["left."], "input": "which ?"},
        {"doc_id": 2, "target": "0", "filtered_resps": ["left or right"], "input": "which ?"},
        {"doc_id": 3, "target": "a cup", "filtered_resps": "a mug", "input": "what ?"},
    ]
    samples = [mc, replace(mc, id="b"), replace(mc, id="c"), Sample("d", None, "what ?", "a cup")]
    made = from_log(records, samples, "log")
    assert [(p.id, p.choice, p.parse) for p in made] == [
        ("a", 0, "parsed"),
        ("b", 1, "parsed"),
        ("c", None, "failed"),
        ("d", None, "open"),
    ]
    alone = from_log(records[3:], None, "log")
    assert alone == [Prediction("3", None, "what ?", "a mug", "a cup")]


def test_a_target_may_be_a_letter_and_generated_answers_are_exported_as_they_count():
    mc = Sample("a", "/v.mp4", "which ?", "left", ("left", "right", "B"), 0)
    records = [{"doc_id": 0, "filtered_resps": "(a)", "input": "which ?"}]
    for form in ("A", "a", "(A)", "A.", "left", "0"):
        (made,) = from_log([{**records[0], "target": form}], [mc], "log")
        assert made.choice == 0, form
        assert to_log([made])[0]["acc"] == 1, "its text is no candidate's, but it was understood"
    second = replace(mc, answer="right", label=1)
    for sample, form in ((mc, "B"), (mc, "1"), (second, "B"), (second, "A")):
        with pytest.raises(PredictionsError, match=f"the right answer is '{form}'"):
            from_log([{**records[0], "target": form}], [sample], "log")


def test_a_line_of_another_question_is_refused(asked, tmp_path):
    sample = asked[0]
    line = {"id": sample.id, "answer": sample.answer}
    turned = list(reversed(sample.choices))
    for other, words in (
        ({"choices": turned, "choice": 1 - sample.label}, "field 'choices' is"),
        ({"choices": ["maybe", "never"], "choice": 0}, "field 'choices' is"),
        ({"label": 1 - sample.label}, "field 'label' is"),
        ({"target": "never"}, "field 'target' is 'never', in --samples it is"),
        ({"choice": 1 - sample.label}, f"'choice' is {1 - sample.label}.*'answer' is"),
    ):
        with pytest.raises(PredictionsError, match=f"file:1: {words}"):
            from_jsonl([{**line, **other}], asked, "file")
    same = {"choices": list(sample.choices), "label": sample.label, "choice": sample.label}
    (made,) = from_jsonl([{**line, **same, "target": sample.answer}], asked, "file")
    assert made.choice == made.label == sample.label


def test_what_was_said_before_survives_a_log():
    turn = Turn("how was it?", "ann")
    said = Prediction("a", None, "does he mean it?", "no", "no", context=(turn,))
    (back,) = from_log(to_log([said]), None, "log")
    assert back.context == (turn,)


def test_predictions_of_any_system(asked, tmp_path):
    file = tmp_path / "theirs.jsonl"
    said = [{"id": s.id, "answer": f"It is {s.answer}."} for s in reversed(asked)]
    file.write_text("".join(json.dumps(line) + "\n" for line in said))
    made = import_predictions(file, "jsonl", tmp_path / "run", asked)
    assert read_predictions(tmp_path / "run" / "predictions.jsonl") == made
    assert [p.id for p in made] == [s.id for s in reversed(asked)]
    assert all(p.choice == p.label and p.parse == "parsed" for p in made)
    full = [p.to_json() for p in made]
    assert from_jsonl(full, None, "file") == made
    for record, reason in (
        ({"id": "x", "answer": "a"}, "id 'x' is not in --samples"),
        ({"id": asked[0].id, "reply": "a"}, "unknown field 'reply'"),
        ({"id": asked[0].id}, "no 'answer'"),
    ):
        with pytest.raises(PredictionsError, match=f"file:1: {reason}"):
            from_jsonl([record], asked, "file")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"answer": "a"}, ":1: field 'id': wanted text, got None"),
        ({"id": [1], "answer": "a"}, r":1: field 'id': wanted text, got \[1\]"),
        ({"id": "x", "answer": 3, "choices": ["3", "4"]}, ":1: field 'answer': wanted text, got 3"),
        ({"id": "x", "answer": "3", "choices": 5}, ":1: field 'choices': wanted a list of texts"),
        ({"id": "x", "answer": "3", "choices": [3, 4]}, ":1: field 'choices': wanted a list"),
        ({"id": "x", "answer": "a", "probabilities": 1.0}, "'probabilities': wanted a list"),
        (
            {"id": "x", "answer": "a", "choices": ["a", "b"], "choice": 7},
            "answer 1: field 'choice'",
        ),
    ],
)
def test_a_line_that_is_no_prediction_is_named(tmp_path, line, words):
    file, out = tmp_path / "theirs.jsonl", tmp_path / "out"
    file.write_text(json.dumps(line) + "\n")
    with pytest.raises(PredictionsError, match=words) as failed:
        import_predictions(file, "jsonl", out)
    assert str(file) in str(failed.value)
    assert not (out / "predictions.jsonl").exists(), "the corrected file must go there"


def test_an_id_that_comes_twice_is_refused_and_leaves_nothing(tmp_path):
    file = tmp_path / "theirs.jsonl"
    file.write_text('{"id": "x", "answer": "a"}\n{"id": "x", "answer": "b"}\n')
    with pytest.raises(PredictionsError, match="answer 2: field 'id': 'x' was already on line 1"):
        import_predictions(file, "jsonl", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
