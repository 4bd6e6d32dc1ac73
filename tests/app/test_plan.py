"""`mtrans doctor --plan` says what a training takes without running it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.app.plan import CLIPS, make_plan, plan_case
from mtrans.app.sizes import count, weights_bytes
from mtrans.data.forms import stored_bytes

from .conftest import Command, one_line_error


@pytest.mark.slow
def test_a_published_model_is_planned_for_a_gpu_that_is_not_here() -> None:
    name = "Salesforce/instructblip-vicuna-7b"
    case = plan_case(name, 8, 4, 32, "cuda", [])
    plan = make_plan(case, timed=False)
    frozen = weights_bytes(*count(case.config))["bf16"]
    assert plan.memory.weights == pytest.approx(frozen, rel=0.01)
    # 257 tokens of 1408 numbers for each of 8 frames
    assert plan.cache["float32"] == CLIPS * 8 * 257 * 1408 * 4
    assert plan.cache["int8"] == CLIPS * stored_bytes((8, 257, 1408), "int8")
    assert plan.step is None


@pytest.mark.slow
def test_a_published_model_in_four_bit_takes_less() -> None:
    name = "Salesforce/instructblip-vicuna-7b"
    plan = make_plan(plan_case(name, 8, 4, 32, "cuda", []), timed=False)
    four_bit = plan_case(name, 8, 4, 32, "cuda", ["quantize=4bit"])
    less = make_plan(four_bit, timed=False)
    assert less.memory.weights < 0.5 * plan.memory.weights
    assert less.memory.activations == plan.memory.activations


def test_plan_command(mtrans: Command, small: Path) -> None:
    words = ["doctor", "--plan", "--backbone", small / "backbone", "--device", "cpu", "--no-time"]
    done = mtrans(*words, "--frames", 3, "--batch", 2, "--text", 6, "--set", "cache_dtype=int8")
    assert done.status == 0, done.err
    for said in ("frozen weights", "activations", "at most", "1,000 clips", "fits", "say int8"):
        assert said in done.out
    assert "time: not foretold" in done.out
    one_line_error(mtrans(*words, "--set", "frames.count=0"), "frames.count=0")


def test_a_run_is_asked_from_an_8_bit_cache(mtrans: Command, run: Path, small: Path) -> None:
    data = ["eval", run, "--data", small / "train.jsonl"]
    out = ["--out", run / "int8.jsonl"]
    done = mtrans(*data, *out, "--set", "cache_dtype=int8")
    assert done.status == 0, done.err
    files = [(run / name).read_text().splitlines() for name in ("predictions.jsonl", "int8.jsonl")]
    exact, rounded = (
        [line["log_likelihoods"] for line in map(json.loads, file) if "log_likelihoods" in line]
        for file in files
    )
    assert len(exact) == len(rounded) > 0
    assert exact != rounded  # other features, a little
    for before, after in zip(exact, rounded, strict=True):
        assert after == pytest.approx(before, abs=0.1)
    one_line_error(mtrans(*data, *out), "predictions of other cache_dtype")
    again = mtrans(*data, *out, "--set", "frames.count=2")
    one_line_error(again, "frames.count=2", "adapted", "cache_dtype")
