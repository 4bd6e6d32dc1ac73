"""`mtrans cost`, and `mtrans eval hf:MODEL` on a tiny random model of another kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch

from infer.foreign_models import make_llava
from mtrans.app.commands_cost import config_of, operations
from mtrans.core.settings import load_settings
from mtrans.measure.cost import flops
from mtrans.measure.predictions import read_predictions
from mtrans.measure.score import read_scores

from .conftest import Command, one_line_error


def cells(out: str, name: str) -> list[str]:
    """Returns a table row's columns after its name."""
    (line,) = [x for x in out.splitlines() if x.strip().startswith(name)]
    return re.split(r"\s{2,}", line.strip())[1:]


def test_cost_of_a_folder(mtrans: Command, small: Path) -> None:
    backbone = small / "backbone"
    words = ["cost", "--backbone", backbone, "--text", 7, "--answer", 2, "--set", "lora.rank=2"]
    done = mtrans(*words, "--frames", 2, "--frames", 8)
    assert done.status == 0, done.err
    settings, config = load_settings(overrides=["lora.rank=2"]), config_of(str(backbone))
    told = {"words": 7, "prompt": 7, "answer": 2}
    two, eight = (flops(config, settings.model, settings.lora, frames=n, **told) for n in (2, 8))
    assert cells(done.out, "an answer") == [operations(f.answering) for f in (two, eight)]
    assert cells(done.out, "a training step, ViT cached") == [
        operations(f.training) for f in (two, eight)
    ]
    assert two.answering < eight.answering
    queries = config.num_query_tokens
    assert cells(done.out, "visual tokens") == [str(queries)] * 2, "a frame more is no token more"
    concat = mtrans(*words, "--frames", 2, "--set", "model.pool=concat")
    assert cells(concat.out, "visual tokens") == [str(2 * queries)]
    parameters, trained, share = re.search(
        r"parameters: ([\d,]+), trained: ([\d,]+) \(([\d.]+) %\)", done.out
    ).groups()  # type: ignore[union-attr]
    whole, part = (int(x.replace(",", "")) for x in (parameters, trained))
    assert 100 * part / whole == float(share) or abs(100 * part / whole - float(share)) < 1e-3


def test_cost_of_what_is_published_or_wrong(mtrans: Command, tmp_path: Path) -> None:
    done = mtrans("cost", "--backbone", "Salesforce/instructblip-vicuna-7b", "--frames", 4)
    assert done.status == 0, done.err
    assert cells(done.out, "visual tokens") == ["32"]
    assert re.search(r"parameters: 7,9\d\d,\d{3},\d{3}", done.out)
    one_line_error(mtrans("cost", "--backbone", tmp_path), str(tmp_path))
    one_line_error(mtrans("cost", "--set", "model.connector=resampler"), "mqt")
    one_line_error(mtrans("cost", "--set", "model.pol=mean"), "did you mean")


def test_eval_of_a_model_of_another_kind(mtrans: Command, small: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make_llava(tmp_path / "other")
    out = tmp_path / "out"
    words = ["eval", f"hf:{tmp_path / 'other'}", "--data", small / "train.jsonl", "--device", "cpu"]
    words += ["--set", "frames.count=2", "--set", "dtype=fp32"]
    done = mtrans(*words, "--out", out)
    assert done.status == 0, done.err
    asked = [json.loads(x) for x in (small / "train.jsonl").read_text().splitlines()]
    answers = read_predictions(out / "predictions.jsonl")
    assert [p.id for p in answers] == [line["id"] for line in asked]
    assert {p.parse for p in answers if p.choices} <= {"parsed", "failed"}
    scores, _ = read_scores(out / "scores.json")
    accuracy = next(s for s in scores if s.metric == "accuracy" and not s.slice)
    chosen = [p for p in answers if p.choices]
    assert accuracy.value == sum(p.choice == p.label for p in chosen) / len(chosen)
    assert "accuracy" in done.out
    scored = mtrans(*words, "--out", tmp_path / "scored", "--likelihood")
    assert scored.status == 0, scored.err
    answers = read_predictions(tmp_path / "scored" / "predictions.jsonl")
    assert all(p.parse == "scored" for p in answers if p.choices)
    gone = mtrans("eval", f"hf:{tmp_path / 'gone'}", "--data", small / "train.jsonl", "--out", out)
    one_line_error(gone, str(tmp_path / "gone"))
