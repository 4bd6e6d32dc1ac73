"""`mtrans eval` on a tiny random model."""

from __future__ import annotations

import json
from pathlib import Path

from infer.foreign_models import make_llava
from mtrans.core.files import file_hash
from mtrans.measure.analyze import read_analysis
from mtrans.measure.score import read_scores

from .conftest import Command, one_line_error


def test_eval_prints_intervals_and_chance(mtrans: Command, run: Path, small: Path) -> None:
    done = mtrans("eval", run, "--data", small / "train.jsonl")
    assert done.status == 0
    scores, document = read_scores(run / "scores.json")
    whole, parts = (document["cost"][name] for name in ("answer_flops", "component_flops"))
    assert list(parts) == ["vit", "qformer", "projection", "llm"]
    assert 0.99 * whole < sum(parts.values()) <= whole
    assert f"GFLOPs (vit {parts['vit'] / 1e9:.3g}, qformer" in done.out
    accuracy = next(s for s in scores if s.metric == "accuracy" and not s.slice)
    line = next(line for line in done.out.splitlines() if "  accuracy " in line)
    assert f"{100 * accuracy.value:.1f}" in line
    assert f"{100 * (accuracy.low or 0):.1f} to {100 * (accuracy.high or 0):.1f}" in line
    assert " 33.3 " in line
    assert str(run / "predictions.jsonl") in done.out


def test_a_model_of_another_kind_may_be_named_by_an_option(
    mtrans: Command, small: Path, tmp_path: Path
) -> None:
    make_llava(tmp_path / "llava")
    words = ("--data", small / "train.jsonl", "--out", tmp_path / "out")
    done = mtrans("eval", "--model", f"hf:{tmp_path / 'llava'}", *words, "--set", "frames.count=2")
    assert done.status == 0, done.err
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert len(lines) == len((small / "train.jsonl").read_text().splitlines())
    scores, document = read_scores(tmp_path / "out" / "scores.json")
    assert any(s.metric == "accuracy" for s in scores)
    cost = document["cost"]
    assert cost["answer_flops"] > 0
    assert cost["visual_tokens"] > 0
    told = f"{cost['visual_tokens']} visual tokens; {cost['answer_flops'] / 1e9:.3g} GFLOPs; peak"
    assert told in done.out


def test_likelihood_is_for_models_of_another_kind(
    mtrans: Command, run: Path, small: Path, tmp_path: Path
) -> None:
    words = ("--data", small / "train.jsonl", "--out", tmp_path / "out", "--likelihood")
    one_line_error(mtrans("eval", run, *words), "--likelihood", "hf:MODEL")
    assert not (tmp_path / "out").exists()


def test_eval_wants_one_model(mtrans: Command, run: Path, small: Path, tmp_path: Path) -> None:
    words = ("--data", small / "train.jsonl", "--out", tmp_path / "out")
    one_line_error(mtrans("eval", *words), "no model", "hf:MODEL")
    one_line_error(mtrans("eval", run, "--model", "tiny", *words), str(run), "'tiny'", "give one")
    assert mtrans("eval", "--model", run, *words).status == 0


def test_eval_of_other_data_needs_a_name(
    mtrans: Command, run: Path, small: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some.jsonl"
    lines = (small / "train.jsonl").read_text().splitlines()[:4]
    some.write_text("\n".join(lines).replace('"clips/', f'"{small}/clips/') + "\n")
    one_line_error(mtrans("eval", run, "--data", some), "other data", "--out", "--overwrite")
    done = mtrans("eval", run, "--data", some, "--split-name", "some")
    assert done.status == 0, done.err
    assert len((run / "predictions_some.jsonl").read_text().splitlines()) == 4
    assert (run / "scores_some.json").is_file()


def test_files_of_one_folder_keep_their_own_scores(
    mtrans: Command, run: Path, small: Path, tmp_path: Path
) -> None:
    models = {run: tmp_path / "adapted.jsonl", small / "backbone": tmp_path / "image.jsonl"}
    for model, file in models.items():
        done = mtrans("eval", model, "--data", small / "train.jsonl", "--out", file)
        assert done.status == 0, done.err
        assert f"scores:      {file.with_suffix('.scores.json')}\n" in done.out
        assert mtrans("analyze", file, "--only", "bias").status == 0
    for file in models.values():
        about = read_scores(file.with_suffix(".scores.json"))[1]
        assert about["predictions"] == file.name
        assert about["sha256"] == file_hash(file)
        assert about["cost"]
        assert read_analysis(file.with_suffix(".analysis.json"), file)
    assert not (tmp_path / "scores.json").exists()
    assert "image.jsonl against adapted.jsonl" in mtrans("compare", *models.values()).out


def test_eval_without_right_answers_writes_predictions(
    mtrans: Command, run: Path, small: Path, tmp_path: Path
) -> None:
    lines = [json.loads(x) for x in (small / "train.jsonl").read_text().splitlines()[:4]]
    for line in lines:
        line["video"] = str(small / line["video"])
        line.pop("answer", None), line.pop("label", None)
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = mtrans("eval", run, "--data", tmp_path / "asked.jsonl", "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert "nothing to score" in done.err
    assert str(tmp_path / "out" / "predictions.jsonl") in done.out
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == 4
    assert not (tmp_path / "out" / "scores.json").exists()
