"""`mtrans doctor`: what it counts is what a model takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.tiny_random import tiny_config, tiny_image_model
from mtrans.app import doctor

from .conftest import Command


def test_counting_on_the_meta_device_is_counting_the_model() -> None:
    model = tiny_image_model()
    parameters, quantised = doctor.count(tiny_config())
    assert parameters == sum(p.numel() for p in model.parameters())
    llm = model.language_model
    linear = sum(
        p.numel()
        for n, p in llm.named_parameters()
        if p.ndim == 2 and "proj" in n and "lm" not in n
    )
    assert quantised == linear > 0


def test_the_formula() -> None:
    n = doctor.weights_bytes(1000, 640)
    assert n == {"fp32": 4000, "bf16": 2000, "8 bit": 720 + 640, "4 bit": 720 + 320 + 40}


@pytest.mark.parametrize(
    ("name", "billions"),
    # the sizes that the models' cards and papers give
    [("Salesforce/instructblip-vicuna-7b", 7.9), ("Salesforce/instructblip-flan-t5-xl", 4.0)],
)
def test_published_sizes(name: str, billions: float) -> None:
    family, llm = doctor.PUBLISHED[name]
    parameters, quantised = doctor.count(doctor.published_config(family, llm))
    assert parameters / 1e9 == pytest.approx(billions, abs=0.06)
    assert 0.6 * parameters < quantised < parameters


def test_folder_size(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "c").write_bytes(b"1")
    assert doctor.folder_size(tmp_path) == 6
    assert doctor.folder_size(tmp_path / "none") == 0


def test_doctor_command(mtrans: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mtrans.models.loading.TINY_FOLDER", tmp_path)
    monkeypatch.setattr(doctor, "PUBLISHED", {})
    done = mtrans("doctor")
    assert done.status == 0
    for words in ("torch", "device", "reads H.264", "writes AAC", "feature cache", "free of"):
        assert words in done.out
    assert "python -m mtrans.models.tiny.pretrain" in done.out


def test_extras_come_from_the_packages_own_metadata() -> None:
    assert "pytest" in doctor._extras()["dev"]
