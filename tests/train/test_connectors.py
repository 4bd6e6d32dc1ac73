"""Any connector goes the one way: adapt, adapter folder, predictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.data.manifest import read_manifest
from mtrans.infer.predictor import load_predictor
from mtrans.models.lora import read_adapter
from mtrans.train.adapt import adapt

from .small import small_settings


def settings_of(small: Path, name: str, **values: Any) -> Any:
    where = (small / "backbone", small / "cache")
    common = {"model.connector": name, "train.max_steps": 3, "train.batch_size": 2}
    return small_settings(*where, **{**common, **values})


@pytest.mark.parametrize("name", ["video_qformer", "memory_bank", "stc", "aim", "fusion_mag"])
def test_adapt_and_answer(
    name: str, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = read_manifest(small / "train.jsonl")[:6]
    run = adapt(settings_of(small, name), samples, samples[:2], tmp_path / "run", progress=False)
    said = "works inside the ViT" in capsys.readouterr().err
    assert said == (name == "aim")
    info = run.info()
    assert info["status"] == "finished"
    assert info["cost"]["visual_tokens"] == {"stc": 2, "fusion_mag": 0}.get(name, 4)
    predictor = load_predictor(run.path)
    assert predictor.backbone.base.settings.connector == name
    answers = list(predictor.predict(samples[:2]))
    assert [a.parse for a in answers] == ["scored", "open"]
    assert all(a.error is None for a in answers)
    if name == "fusion_mag":  # what it can say are the answers and candidates of the training data
        assert len(read_adapter(run.adapter).answers) == 4
        assert answers[1].answer in {"a square", "left", "right", "up it"}
    # the same from the cache and from the file
    again = next(iter(predictor.predict(samples[:1], use_cache=False)))
    assert again.log_likelihoods == pytest.approx(answers[0].log_likelihoods, abs=1e-4)


@pytest.mark.parametrize("name", ["video_qformer", "mqt"])
def test_more_frames_than_learned_positions_are_named_before_features_are_made(
    name: str, small: Path, tmp_path: Path
) -> None:
    rows = {"model.max_frames": 1, "model.temporal_position": "absolute"}
    settings = settings_of(small, name, **rows, cache_dir=str(tmp_path / "cache"))
    assert settings.frames.count > 1
    samples = read_manifest(small / "train.jsonl")[:2]
    with pytest.raises(SettingsError, match=r"learned positions have 1 rows \(model.max_frames\)"):
        adapt(settings, samples, None, tmp_path / "run", progress=False)
    assert not list(tmp_path.rglob("*.bin")), "features were made for nothing"
    # a bound on frames that the clips stay below is none of it
    few = {"frames.sampling": "fps", "frames.fps": 0.1, "train.max_steps": 1}
    settings = settings_of(small, name, **rows, **few)
    run = adapt(settings, samples, None, tmp_path / "few", progress=False)
    assert run.info()["status"] == "finished"


def test_a_budget_that_is_missed_is_told(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = read_manifest(small / "train.jsonl")[:4]
    settings = settings_of(small, "mqt", **{"model.budget": 10, "train.max_steps": 1})
    run = adapt(settings, samples, None, tmp_path / "run", progress=False)
    trained = run.info()["cost"]["trained_parameters"]
    said = capsys.readouterr().err
    assert f"model.budget=10: model.connector=mqt trains {trained:,} parameters" in said


def test_a_budget_is_spent_and_written_down(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = read_manifest(small / "train.jsonl")[:4]
    settings = settings_of(small, "mqt", **{"model.budget": 30_000, "train.max_steps": 1})
    run = adapt(settings, samples, None, tmp_path / "run", progress=False)
    assert run.info()["cost"]["trained_parameters"] == pytest.approx(30_000, rel=0.1)
    rank = run.settings().lora.rank
    assert rank != settings.lora.rank
    assert read_adapter(run.adapter).lora.rank == rank
    assert "model.budget=" not in capsys.readouterr().err
    # asked again, the run is found finished: the same rank is chosen
    adapt(settings, samples, None, tmp_path / "run", progress=False)
    other = settings_of(small, "mqt", **{"model.budget": 30_001, "train.max_steps": 1})
    with pytest.raises(CheckpointError, match=r"model.budget"):
        adapt(other, samples, None, tmp_path / "run", progress=False)
