"""`bench rounding` answers the same questions with and without rounding, and compares them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from mtrans.bench.rounding import CASES, bench_rounding, sizes
from mtrans.core.runtime import has_fast_bf16
from mtrans.data.manifest import read_manifest
from mtrans.train.adapt import adapt
from train.small import make_all, small_settings


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounding")
    make_all(folder)
    settings = small_settings(
        folder / "backbone", folder / "cache", **{"train.max_steps": 4, "train.precision": "auto"}
    )
    samples = read_manifest(folder / "train.jsonl")
    run = adapt(settings, samples, samples, folder / "run", progress=False).path
    return bench_rounding(folder / "out", [run, run], samples), folder / "out"


def test_every_rounding_is_held_against_the_exact_answers(found):
    result, out = found
    rounds = has_fast_bf16(torch.device("cpu"))
    taken = [name for name, (dtype, _) in CASES.items() if dtype != "mixed" or rounds]
    assert [case["case"] for case in result["cases"]] == taken[1:]
    for case in result["cases"]:
        assert case["value"] - result["exact"] == pytest.approx(case["difference"])
    for name in taken:  # each case has answered for itself
        lines = (out / f"{name.replace(',', '').replace(' ', '-')}-0.jsonl").read_text()
        assert len(lines.splitlines()) >= result["questions"] > 0
    exact, eight = (
        json.loads((out / name).read_text().splitlines()[0])["log_likelihoods"]
        for name in ("exact-0.jsonl", "features-in-8-bit-0.jsonl")
    )
    assert exact != eight  # rounded features really were read
    assert exact == pytest.approx(eight, abs=0.1)


@pytest.mark.parametrize("slow", [True, False], ids=["slow at bf16", "trained in fp32"])
def test_a_rounding_that_does_not_take_place_has_no_figure(found, tmp_path, monkeypatch, slow):
    source = found[1].parent
    run = Path(shutil.copytree(source / "run", tmp_path / "run"))
    monkeypatch.setattr("mtrans.bench.rounding.has_fast_bf16", lambda device: not slow)
    if not slow:
        text = (run / "settings.yaml").read_text()
        (run / "settings.yaml").write_text(text.replace("precision: auto", "precision: fp32"))
    lines = []
    samples = read_manifest(source / "train.jsonl")[:2]
    result = bench_rounding(tmp_path / "out", [run], samples, device="cpu", said=lines.append)
    assert [case["case"] for case in result["cases"]] == list(CASES)[1:3]
    assert sum("not measured" in line for line in lines) == 2


def test_the_record_is_the_pages(found):
    from mtrans.report.benchmarks_page_rounding import rounding

    section = rounding(json.loads((found[1] / "rounding.json").read_text()))
    assert section.goals[0].met is not None
    assert any("features in 8 bit" in line for line in section.lines)


def test_sizes_are_those_of_instructblip():
    assert sizes()["4"]["float32"] == 1000 * 4 * 257 * 1408 * 4
    assert sizes()["4"]["int8"] == 1000 * 4 * 257 * (1408 + 4)
