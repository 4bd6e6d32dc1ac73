"""What is counted is what a model takes."""

from __future__ import annotations

import pytest

from models.tiny_random import tiny_config, tiny_image_model
from mtrans.app import sizes


def test_counting_on_the_meta_device_is_counting_the_model() -> None:
    model = tiny_image_model()
    parameters, quantised = sizes.count(tiny_config())
    assert parameters == sum(p.numel() for p in model.parameters())
    llm = model.language_model
    linear = sum(
        p.numel()
        for n, p in llm.named_parameters()
        if p.ndim == 2 and "proj" in n and "lm" not in n
    )
    assert quantised == linear > 0


def test_the_formula() -> None:
    n = sizes.weights_bytes(1000, 640)
    assert n == {"fp32": 4000, "bf16": 2000, "8 bit": 720 + 640, "4 bit": 720 + 320 + 40}


@pytest.mark.parametrize(
    ("name", "billions"),
    # the sizes that the models' cards and papers give
    [("Salesforce/instructblip-vicuna-7b", 7.9), ("Salesforce/instructblip-flan-t5-xl", 4.0)],
)
def test_published_sizes(name: str, billions: float) -> None:
    family, llm = sizes.PUBLISHED[name]
    parameters, quantised = sizes.count(sizes.published_config(family, llm))
    assert parameters / 1e9 == pytest.approx(billions, abs=0.06)
    assert 0.6 * parameters < quantised < parameters
