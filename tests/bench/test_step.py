"""A step without data is the step that is trained, and its memory is foretold to the byte."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from models.tiny_random import tiny_config
from mtrans.bench.footprint import LiveBytes, footprint
from mtrans.bench.step import Step, StepCase, measure_step, time_steps
from mtrans.core import runtime
from mtrans.core.settings import load_settings

CPU = torch.device("cpu")


def case_of(*overrides: str, llm: str = "llama", **changes) -> StepCase:
    settings = load_settings(overrides=["device=cpu", "lora.rank=2", *overrides])
    family = "blip-2" if llm == "opt" else "instructblip"
    return StepCase(tiny_config(family, llm), settings, **{"batch": 2, "text": 6, **changes})


def test_a_step_changes_what_is_trained_and_nothing_else():
    step = Step(case_of(), CPU)
    before = {name: p.detach().clone() for name, p in step.model.named_parameters()}
    first = step.run()
    changed = {n for n, p in step.model.named_parameters() if not torch.equal(p, before[n])}
    trained = {n for n, p in step.model.named_parameters() if p.requires_grad}
    assert changed
    assert changed <= trained
    for _ in range(20):
        last = step.run()
    assert last < first  # it learns its one batch


@pytest.mark.parametrize(
    "overrides",
    [
        ("train.precision=fp32",),
        ("train.precision=bf16", "frames.count=7"),
        pytest.param(
            ("model.pool=concat", "model.mqt=false", "model.routing=off"), marks=pytest.mark.slow
        ),
        ("model.connector=memory_bank", "model.routing=off"),
    ],
)
def test_memory_is_foretold_exactly(overrides):
    """The same count on tensors with numbers and on those without."""
    case = case_of(*overrides)
    told = footprint(case, CPU)
    step = Step(case, CPU)
    live = LiveBytes(answers=0)
    with live:
        loss = step.forward()
        loss.backward()
    del loss
    own = 4 * sum(p.numel() for p in step.trained)
    assert told.trained_parameters * 4 == own
    # gradients outlive the step
    assert live.live == own
    assert told.activations == pytest.approx(live.peak - own, rel=0.02)
    held = sum(p.nbytes for p in step.model.parameters())
    assert held - own <= told.weights < 1.1 * held
    assert told.batch == sum(t.nbytes for t in step.batch.values())


def test_matrices_held_in_bf16_are_loaded_in_fp32(monkeypatch):
    fp32 = footprint(case_of("dtype=fp32"), CPU)
    assert fp32.loading == fp32.weights
    monkeypatch.setattr(runtime, "has_fast_bf16", lambda device: True)
    mixed = footprint(case_of("dtype=mixed"), CPU)
    assert mixed.loading == fp32.loading
    assert 0.5 * fp32.weights < mixed.weights < 0.9 * fp32.weights
    assert mixed.total >= mixed.loading
    step = Step(case_of("dtype=mixed"), CPU)
    held = {p.dtype for p in step.model.get_base_model().language_model.parameters()}
    assert held == {torch.float32, torch.bfloat16}
    assert step.run().isfinite()


@pytest.mark.parametrize("llm", ["t5", "opt"])
def test_other_families_are_foretold_too(llm):
    told = footprint(case_of("model.fusion=none", llm=llm), CPU)
    assert told.activations > 0
    assert told.trained == 16 * told.trained_parameters


def test_more_frames_take_more_and_a_gpu_need_not_be_here():
    small, large = (footprint(case_of().with_frames(n), torch.device("cuda")) for n in (4, 16))
    assert large.activations > 2 * small.activations
    assert large.weights == small.weights
    assert large.batch > 3 * small.batch


def test_layers_are_taken_away():
    case = dataclasses.replace(case_of(), layers=(1, 3, 1))
    step = Step(case, CPU)
    base = step.model.get_base_model()
    assert len(base.vision_model.encoder.layers) == 1
    assert len(base.qformer.encoder.layer) == 3
    assert len(base.language_model.base_model.layers) == 1
    assert case.config.text_config.num_hidden_layers == 2  # not the caller's


def test_steps_are_timed_after_warming_up():
    done: list[int] = []
    taken = time_steps(lambda: done.append(1), CPU, least=4, seconds=0.0)
    assert len(taken) == 4
    assert len(done) == 6
    found = measure_step(case_of(), least=2, seconds=0.0)
    assert len(found.seconds) == 2
    assert found.quick == min(found.seconds)
    assert found.visual_tokens == 4
    assert found.kind == "rss"
    assert found.peak >= found.before > 0
