"""The formula of costs against torch's counter, on tiny random models."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.measure.cost import cached_tokens, flops
from mtrans.models.connectors import CONNECTORS
from mtrans.models.flops import _backward, count_flops
from mtrans.models.lora import attach_adapter

ROUTED = ModelSettings(routing="both")
PAPER = ModelSettings(
    temporal_position="absolute", temporal_gate="none", routing="both", routing_form="average"
)
PLAIN = ModelSettings(mqt=False, routing="off", pool="concat", fusion="none")
WORDS, PROMPT = 5, 6  # of tiny_batch


def _batch(model, batch, frames, answer):
    made = tiny_batch(model, batch, frames, prompt=PROMPT, answer=answer)
    return made


@pytest.mark.parametrize(
    ("settings", "llm", "batch", "frames"),
    [
        (ROUTED, "llama", 1, 1),
        (ROUTED, "llama", 2, 5),
        (PAPER, "opt", 2, 3),
        (PLAIN, "llama", 1, 4),
        (dataclasses.replace(ROUTED, patch_mixing=3), "llama", 1, 4),
        (dataclasses.replace(ROUTED, queries=2, pool="moments"), "llama", 2, 3),
        (dataclasses.replace(ROUTED, temporal_tokens="all"), "t5", 2, 3),
    ],
)
def test_formula_equals_counter(settings, llm, batch, frames):
    family = "blip-2" if llm == "opt" else "instructblip"
    model = tiny_video_model(settings, family=family, llm=llm)
    answer = 3
    given = _batch(model, batch, frames, 0 if llm == "t5" else answer)
    if llm == "t5":
        given["labels"] = given["input_ids"][:, -answer:].clone()
    else:
        given["labels"] = given["input_ids"].clone()
        given["labels"][:, :-answer] = -100
    counted = count_flops(model, given)
    made = flops(
        model.config, settings, frames=frames, words=WORDS, prompt=PROMPT, answer=answer
    ).forward
    made = {name: batch * value for name, value in made.items()}
    assert counted["vit"] == made["vit"]
    assert counted["temporal"] == made.get("temporal", 0)
    assert counted["feed_forward"] == made["feed_forward"]
    own = ("spatial", "temporal", "cross", "feed_forward", "connector")
    assert counted["qformer"] == pytest.approx(sum(made.get(n, 0) for n in own), rel=1e-6)
    assert counted["projection"] == made["projection"]
    assert counted["all"] - counted["vit"] - counted["qformer"] - counted["projection"] == (
        pytest.approx(_llm(model, llm, made, batch, frames, answer), rel=1e-6)
    )


@pytest.mark.parametrize("name", ["hcrn", "fusion_mult", "fusion_mag", "aim", "stc", "vchat"])
def test_what_a_connector_does_is_counted_as_its_own(name):
    model = tiny_video_model(ModelSettings(connector=name, memory=2))
    if model.answers_itself:
        model.set_answers([[5], [6]])
    counted = count_flops(model, _batch(model, 1, 2, 1))
    parts = ("vit", "qformer", "projection", "llm")
    assert counted["qformer"] > 0
    assert (counted["vit"] == 0) == (name == "aim")
    assert (counted["llm"] == 0) == model.answers_itself
    assert sum(counted[part] for part in parts) == pytest.approx(counted["all"], rel=0.01)


def _llm(model, llm, made, batch, frames, answer):
    """In training the answer's last token is run as well, though nothing is read off it."""
    total = made["llm_prompt"] + made["llm_answer"]
    if llm == "t5":
        return total
    text = model.config.text_config
    longer = model.visual_tokens(frames) + PROMPT + answer
    once = cached_tokens(text, past=longer - 1) - 2 * text.hidden_size * text.vocab_size
    pairs = text.num_hidden_layers * (longer - 1) * 4 * text.hidden_size  # nobody masks by size
    return total + batch * (once + pairs)


@pytest.mark.parametrize("mixing", [0, 3])
@pytest.mark.parametrize("targets", [("query", "value"), ("query", "key", "value", "output")])
def test_backward_and_pairs(targets, mixing):
    lora = LoraSettings(rank=4, targets=targets)
    settings = dataclasses.replace(ROUTED, patch_mixing=mixing)
    model = tiny_video_model(settings)
    adapted = attach_adapter(model, lora)
    batch, frames, answer = 2, 4, 2
    given = _batch(adapted.get_base_model(), batch, frames, answer)
    counted = count_flops(adapted, given, backward=True)
    sizes = {"frames": frames, "words": WORDS, "prompt": PROMPT, "answer": 3}
    made = flops(model.config, settings, lora, **sizes)
    own = sum(made.forward[n] for n in ("spatial", "temporal", "cross", "feed_forward"))
    assert counted["qformer"] == pytest.approx(
        batch * (own + made.forward["connector"]), rel=2e-3
    )  # the matrices of the cheaper cross-attention are made once a batch
    assert counted["backward"] == pytest.approx(batch * sum(made.backward.values()), rel=0.05)
    assert all(p.grad is None for p in adapted.parameters())


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_every_connector_can_be_counted(name):
    model = tiny_video_model(ModelSettings(connector=name, routing="off"))
    given = _batch(model, 1, 12 if name == "hcrn" else 2, 1)
    if model.answers_itself:
        right = int(given["labels"][0, -1])
        model.set_answers([[right], [right + 1]])
    counted = count_flops(attach_adapter(model, LoraSettings(rank=2)), given, backward=True)
    assert counted["backward"] > 0
    if not model.answers_itself:
        assert counted["all"] > counted["llm"] > 0


@pytest.mark.parametrize("groups", [1, 6])
def test_the_way_back_of_a_convolution_is_counted_by_its_groups(groups):
    layer = torch.nn.Conv2d(6, 6, 3, padding=1, groups=groups)
    both = torch.nn.Sequential(torch.nn.Conv2d(6, 6, 1), layer)
    one = 2 * 2 * 5 * 4 * 9 * 6 * (6 // groups)
    assert _backward(layer, layer(torch.randn(2, 6, 5, 4)).sum()) == one
    first = 2 * 2 * 5 * 4 * 6 * 6  # the gradient of its weight; the second's needs both
    assert _backward(both, both(torch.randn(2, 6, 5, 4)).sum()) == first + 2 * one
