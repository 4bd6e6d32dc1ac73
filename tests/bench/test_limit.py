"""Profile, cache reading and processes apart measure what they say."""

from __future__ import annotations

import os

import pytest
import torch

from mtrans.bench import apart
from mtrans.bench.apart import BenchError, run_apart
from mtrans.bench.foretell import probes
from mtrans.bench.profile import AUTOGRAD, BETWEEN, PARTS, operations, profile_step
from mtrans.bench.reading import read_features
from mtrans.bench.step import Step
from mtrans.core.errors import SettingsError
from mtrans.data.shards import ShardStore
from mtrans.models.flops import count_flops
from mtrans.models.st_qformer import SpatialTemporalLayer
from mtrans.train.compiled import check_compiler, compile_layers

from ._apart_work import die, fail, hold
from .test_step import case_of


def test_a_profile_adds_up_to_the_step():
    step = Step(case_of(), torch.device("cpu"))
    step.run()
    plain = SpatialTemporalLayer._temporal
    profile = profile_step(step, 2.0, rounds=2)
    parts, operators = profile.parts, profile.operators
    assert SpatialTemporalLayer._temporal is plain  # the labels are gone
    assert [p.part for p in parts] == list(PARTS)
    assert sum(p.seconds for p in parts) == pytest.approx(2.0)
    by_name = {p.part: p for p in parts}
    for name in ("spatial", "temporal", "cross", "connector", "llm"):
        assert by_name[name].forward > 0, name
        assert by_name[name].backward > 0, name
    assert by_name["optimizer"].backward == 0
    assert by_name["optimizer"].forward > 0
    assert sum(o.seconds for o in operators) == pytest.approx(2.0)
    assert [o.seconds for o in operators] == sorted((o.seconds for o in operators), reverse=True)
    calls = {o.name: o.calls for o in operators}
    assert calls["_fused_adamw_"] == 2  # with decay and without
    products = {o.name for o in operators if o.product}
    assert {"mm", "addmm"} <= products
    assert not products & {"copy_", "mul", BETWEEN, AUTOGRAD}


def test_counted_operations_of_the_parts_are_those_of_the_step():
    step = Step(case_of(), torch.device("cpu"))
    counted = count_flops(step.model, step.batch, backward=True)
    formula = sum(operations(step).values())
    assert formula == pytest.approx(counted["all"] + counted["backward"], rel=0.1)
    other = Step(case_of("model.connector=stc", "model.routing=off"), torch.device("cpu"))
    assert operations(other) == {}


def test_reading_the_cache_is_timed(tmp_path):
    found = {
        form: read_features(tmp_path / form, (2, 4, 16), form, size=1, batch=2)
        for form in ("float32", "int8")
    }
    assert found["float32"].clip_bytes == 2 * 4 * 16 * 4
    assert found["int8"].clip_bytes == 2 * 4 * (16 + 4)
    for reading in found.values():
        assert reading.warm > 0
        assert reading.disk_warm > 0
        assert reading.share_warm > 0
    assert len(ShardStore(tmp_path / "int8").entries) == 4


def test_small_models_have_one_layer_kind_more_each():
    config = case_of().config  # ViT 2, Q-Former 4 with cross-attention in every second, LLM 2
    assert probes(config) == [(1, 3, 1), (1, 4, 1), (2, 3, 2)]
    config.qformer_config.num_hidden_layers = 12
    config.text_config.num_hidden_layers = 32
    assert probes(config) == [(1, 3, 1), (1, 7, 1), (2, 3, 4)]


def test_a_case_runs_apart_with_memory_of_its_own(monkeypatch):
    monkeypatch.setattr(apart, "PRELOADED", [])
    (first, little), (second, much) = run_apart(hold, 1), run_apart(hold, 200)
    assert len({first, second, os.getpid()}) == 3
    assert much - little > 150 << 20
    with pytest.raises(SettingsError, match="no such thing"):
        run_apart(fail, SettingsError("no such thing"))
    with pytest.raises(BenchError, match=r"fail: ValueError: 7 \(.*_apart_work"):
        run_apart(fail, ValueError(7))
    with pytest.raises(BenchError, match=r"ended with -9"):
        run_apart(die)


def test_without_a_compiler_one_line_says_so(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    step = Step(case_of(), torch.device("cpu"))
    with pytest.raises(SettingsError, match=r"C\+\+ compiler.*no-such-compiler.*compile=false"):
        compile_layers(step.model)
    with pytest.raises(SettingsError, match="not mps"):
        check_compiler(torch.device("mps"))
