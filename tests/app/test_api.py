"""The Python front door."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import mtrans as package
from mtrans.app.api import VideoModel
from mtrans.app.data import as_samples
from mtrans.core.errors import CheckpointError, ManifestError, SettingsError
from mtrans.core.records import Sample, Turn
from mtrans.data.manifest import read_manifest


@pytest.fixture(scope="module")
def backbone(small: Path) -> VideoModel:
    return package.load(
        small / "backbone",
        device="cpu",
        cache_dir=small / "cache",
        prompt={"template": "tiny"},
        **{"train.max_steps": 4, "train.batch_size": 4, "lora.rank": 2},
    )


@pytest.fixture(scope="module")
def adapted(backbone: VideoModel, small: Path) -> VideoModel:
    samples = read_manifest(small / "train.jsonl")
    return backbone.adapt(samples, small / "train.jsonl", out=small / "api", progress=False)


def test_load_takes_nested_and_dotted_settings(backbone: VideoModel) -> None:
    assert backbone.settings.prompt.template == "tiny"
    assert backbone.settings.train.max_steps == 4
    assert backbone.settings.lora.targets == ("query", "key", "value", "output")  # the preset's
    paper = package.load("Salesforce/instructblip-vicuna-7b", preset="paper")
    assert paper.settings.model.routing_form == "hadamard"
    assert "image model" in repr(paper)


def test_load_wrong_settings(small: Path) -> None:
    with pytest.raises(SettingsError, match=r"train\.max_step'.*did you mean"):
        package.load("tiny", train={"max_step": 3})
    with pytest.raises(SettingsError, match="did you mean 'paper'"):
        package.load("tiny", preset="papers")


def test_adapted_model_is_the_run_on_disk(
    adapted: VideoModel, backbone: VideoModel, small: Path
) -> None:
    question, choices = "which way does the square move ?", ["left", "right"]
    clip = small / "clips" / "2.mp4"
    here = adapted.ask(clip, question, choices)
    again = package.load(small / "api").ask(clip, question, choices)
    assert again.probabilities == here.probabilities
    assert backbone.ask(clip, question, choices).probabilities != here.probabilities
    assert here.text in choices


def test_evaluate_gives_scores(adapted: VideoModel, small: Path) -> None:
    result = adapted.evaluate(small / "train.jsonl", progress=False)
    assert (result.answered, result.reused, result.failed) == (16, 0, 0)
    assert result.predictions == small / "api" / "predictions.jsonl"
    assert 0 <= result.score("accuracy").value <= 1
    assert result.score("accuracy", type="way").n == 8
    with pytest.raises(SettingsError, match="measured: accuracy"):
        result.score("acuracy")
    assert adapted.evaluate(small / "train.jsonl", progress=False).reused == 16


def test_evaluate_a_backbone_needs_a_place(
    backbone: VideoModel, small: Path, tmp_path: Path
) -> None:
    samples = read_manifest(small / "train.jsonl")[:2]
    with pytest.raises(CheckpointError, match="no run folder"):
        backbone.evaluate(samples, progress=False)
    result = backbone.evaluate(samples, tmp_path, progress=False)
    assert result.predictions == tmp_path / "predictions.jsonl"


def test_baseline_of_adapt(backbone: VideoModel, small: Path, tmp_path: Path) -> None:
    samples = read_manifest(small / "train.jsonl")[:4]
    model = backbone.adapt(samples, out=tmp_path / "t", baseline="text", progress=False)
    assert not model.settings.model.vision
    assert model.adapted
    with pytest.raises(SettingsError, match="unknown baseline"):
        backbone.adapt(samples, out=tmp_path / "u", baseline="txt")


def test_a_run_keeps_its_settings(adapted: VideoModel, small: Path) -> None:
    with pytest.raises(SettingsError, match="keeps its settings"):
        package.load(small / "api", train={"max_steps": 2})
    with pytest.raises(SettingsError, match="'preset'"):
        package.load(small / "api", preset="paper")


def test_data_that_is_not_samples(small: Path) -> None:
    with pytest.raises(ManifestError, match="item 0 of the data is a dict"):
        as_samples([{"id": "a"}])  # type: ignore[list-item]
    with pytest.raises(ManifestError, match="is a folder"):
        as_samples(small)


def test_samples_made_by_hand_are_completed_and_checked_as_lines_are() -> None:
    made = Sample("a", "clip.mp4", "which way?", "right", ("left", "right"), context=(Turn("so"),))
    (sample,) = as_samples([made])
    assert (sample.label, sample.answer, sample.context) == (1, "right", made.context)
    (sample,) = as_samples([dataclasses.replace(made, answer=None, label=0)])
    assert sample.answer == "left"
    with pytest.raises(ManifestError, match=r"item 1 of the data: answer: 'up' is not among"):
        as_samples([made, dataclasses.replace(made, answer="up")])
