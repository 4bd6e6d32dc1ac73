"""Power laws are read off points, and the frames at which squares take over off the formula."""

from __future__ import annotations

import json
import math

import pytest

from mtrans.bench import scale
from mtrans.bench.scale import bench_scale, bends, growth
from mtrans.bench.step import Measured
from mtrans.measure.cost import flops

from .test_step import case_of


def test_an_exponent_is_found_with_its_error():
    x = [4, 8, 16, 32]
    exact = growth(x, [3 * n**1.5 for n in x])
    assert exact.exponent == pytest.approx(1.5)
    assert exact.error == pytest.approx(0, abs=1e-9)
    assert exact.last == pytest.approx(1.5)
    bent = growth(x, [1, 1, 1, 4])
    assert bent.last == pytest.approx(2)
    assert 0 < bent.exponent < bent.last
    assert bent.error > 0.1
    assert math.isnan(growth([1, 2], [1, 2]).error)


def test_squares_take_over_where_the_formula_says():
    case = case_of()
    frames = bends(case)
    told = {"words": case.text, "prompt": case.text, "answer": case.answer}

    def step(n):
        return flops(case.config, case.settings.model, case.settings.lora, frames=n, **told)

    assert frames is not None
    # at that T the step grows clearly faster than T, a tenth of it nearly as T
    fast, slow = (step(2 * n).training / step(n).training for n in (frames, max(1, frames // 16)))
    assert fast > 2.3 > slow
    assert bends(case_of("model.mqt=false", "model.routing=off")) is None
    assert bends(case_of("model.connector=stc", "model.routing=off")) is None


def test_one_thing_is_changed_at_a_time(tmp_path, monkeypatch):
    seen = []

    def apart(function, case, **kwargs):
        seen.append((case.frames, case.text, case.batch))
        return Measured((0.001 * case.frames,), 100 + case.frames, 100, "rss", 4)

    monkeypatch.setattr(scale, "run_apart", apart)
    result = bench_scale(
        tmp_path, case_of(), name="x", points={"frames": (2, 4, 8), "batch": (1, 2)}
    )
    assert seen == [(2, 6, 2), (4, 6, 2), (8, 6, 2), (4, 6, 1), (4, 6, 2)]
    assert result["fits"]["frames"]["time"].exponent == pytest.approx(1)
    record = json.loads((tmp_path / "scale.json").read_text())
    assert [row["value"] for row in record["points"]["batch"]] == [1, 2]
    assert record["exponents"]["frames"]["memory"]["exponent"] == pytest.approx(1)
