"""Why an answer is given, and whether a clip is of a known kind; on a random model and files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.records import Sample
from mtrans.infer import gaussian
from mtrans.infer.explain import Explanation, explain
from mtrans.infer.ood import fit_run, query_features, scores, warning
from mtrans.infer.predictor import Predictor, load_predictor
from mtrans.report.explain import write_explanation
from mtrans.train.adapt import adapt
from mtrans.train.run_folder import RunFolder
from mtrans.video.clip import load_clip
from train.small import small_settings


@pytest.fixture(scope="module")
def predictor(run: RunFolder) -> Predictor:
    return load_predictor(run.path, device="cpu")


@pytest.fixture(scope="module")
def found(predictor: Predictor, small: Path) -> Explanation:
    from mtrans.data.manifest import read_manifest

    return explain(predictor, read_manifest(small / "train.jsonl")[0])


def test_an_answer_is_explained(
    found: Explanation, predictor: Predictor, samples: list[Sample]
) -> None:
    (answer,) = predictor.predict(samples[:1], use_cache=False)
    assert found.prediction.choice == answer.choice
    assert answer.probabilities is not None
    assert found.score == pytest.approx(max(answer.probabilities), abs=1e-4)
    assert [m.name for m in found.maps] == [
        "occlusion", "gradient x input", "cross-attention", "attention rollout",
    ]  # fmt: skip
    for m in found.maps:
        assert m.cells.shape == (3, 2, 2)
        assert m.faith["deletion"]["curve"][0] == pytest.approx(found.score, abs=1e-4)
        assert m.faith["insertion"]["curve"][-1] == pytest.approx(found.score, abs=1e-4)
    assert len(found.frames) == 3
    assert {w for _, w, _ in found.words} == set(samples[0].question.split())
    assert len(found.temporal) == 4
    assert all(np.allclose(m.sum(axis=1), 1, atol=1e-5) for m in found.temporal)
    assert found.routing[-1][0] is not None
    assert sum(found.routing[-1][0]) == pytest.approx(1.0, abs=1e-5)


def test_the_page_needs_nothing_else(
    found: Explanation, predictor: Predictor, samples: list[Sample], tmp_path: Path
) -> None:
    settings = predictor.settings
    pixels = load_clip(str(samples[0].video), settings.frames).pixels
    path = write_explanation(
        tmp_path / "page.html", vars(found), pixels, settings.model.temporal_radii
    )
    page = path.read_text()
    assert page.count('<img src="data:image/') == 3 * 5  # the frames, and with four maps
    for words in ("Occlusion", "Attention rollout", "Routes", "word left out"):
        assert words in page
    for m in found.maps:
        assert m.faith["says"] in page
    assert "http" not in page.replace("http-equiv", "")


def test_an_open_answer_is_explained(predictor: Predictor, samples: list[Sample]) -> None:
    short = dataclasses.replace(samples[1], context=())
    made = explain(predictor, short)
    assert 0 < made.score <= 1
    assert {where for where, _, _ in made.words} == {"question"}


def test_without_a_video_there_is_nothing_to_explain(
    predictor: Predictor, samples: list[Sample]
) -> None:
    with pytest.raises(SettingsError, match="nothing to see"):
        explain(predictor, dataclasses.replace(samples[0], video=None))


def test_a_strange_clip_is_warned_of(
    predictor: Predictor, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="--fit TRAIN"):
        warning(predictor, samples[0])
    with pytest.raises(SettingsError, match="8 clips to fit on"):
        fit_run(predictor, samples)
    monkeypatch.setattr(gaussian, "FEWEST", 8)
    try:
        fitted = fit_run(predictor, samples)
        features = query_features(predictor, samples[:3], batch_size=2)
        assert features.shape == (3, 32)
        assert np.allclose(features[0], query_features(predictor, samples[:1])[0], atol=1e-4)
        near = samples[int(np.argmin(fitted.distance(query_features(predictor, samples[::2])))) * 2]
        assert warning(predictor, near) is None
        dataclasses.replace(fitted, threshold=0.0).save(predictor.run.path)  # type: ignore[union-attr]
        assert "unlike the training clips" in (warning(predictor, near) or "")
        found = scores(predictor, samples[::2])
        assert {name: v.shape for name, v in found.items()} == {
            "distance": (8,),
            "confidence": (8,),
        }
        assert ((found["confidence"] >= 0) & (found["confidence"] < 1)).all()
    finally:
        (predictor.run.path / gaussian.OOD_FILE).unlink()  # type: ignore[union-attr]


def test_a_model_that_answers_by_itself_knows_its_clips_too(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    changes = {"model.connector": "hcrn", "train.max_steps": 2}
    settings = small_settings(small / "backbone", small / "cache", **changes)
    run = adapt(settings, samples[:8], None, tmp_path / "run", progress=False)
    predictor = load_predictor(run.path, device="cpu")
    features = query_features(predictor, samples[:4:2])
    assert features.shape == (2, predictor.backbone.base.connecting.feature_width)
    assert not np.allclose(features[0], features[1])
