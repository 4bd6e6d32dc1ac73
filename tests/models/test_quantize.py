"""What is asked of transformers for a frozen LLM in fewer bits; the loading itself where it can."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from mtrans.core.errors import SettingsError
from mtrans.core.settings import load_settings
from mtrans.models.loading import load_backbone
from mtrans.models.quantize import KEPT, quantization

THERE = importlib.util.find_spec("bitsandbytes") is not None


def test_nothing_is_asked_where_nothing_is_quantised() -> None:
    assert quantization("none", dtype=torch.float32, device="mps") == {}
    assert load_settings().quantize == "none"
    assert load_settings(overrides=["quantize=4bit"]).quantize == "4bit"
    with pytest.raises(SettingsError, match="not one of none, 8bit, 4bit"):
        load_settings(overrides=["quantize=3bit"])


@pytest.mark.parametrize("kind", ["8bit", "4bit"])
def test_the_llm_alone_is_quantised_in_the_config(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    asked = quantization(kind, dtype=torch.bfloat16, device="cpu")
    config = asked["quantization_config"]
    assert (config.load_in_8bit, config.load_in_4bit) == (kind == "8bit", kind == "4bit")
    assert config.llm_int8_skip_modules == list(KEPT)
    assert config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert asked["device_map"] == {"": torch.device("cpu")}


def test_what_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="not on 'mps'"):
        quantization("8bit", dtype=torch.float32, device="mps")
    with pytest.raises(SettingsError, match=r"multiples of 64, and this LLM has 352"):
        load_backbone("tiny", quantize="4bit")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'mtrans\[quant\]'"):
        load_backbone("tiny", quantize="8bit")


@pytest.mark.skipif(not THERE, reason="bitsandbytes (extra quant) is not installed")
@pytest.mark.filterwarnings("ignore")  # bitsandbytes' own
def test_the_llm_alone_is_quantised_and_its_identity_is_its_own() -> None:
    first, again = (load_backbone("tiny", quantize="8bit") for _ in range(2))
    assert first.hash == again.hash != load_backbone("tiny").hash
    made = {n: type(m).__name__ for n, m in first.base.named_modules()}
    quantised = [n for n, kind in made.items() if kind == "Linear8bitLt"]
    assert quantised
    assert all("language_model" in n for n in quantised)
