"""A model under perturbations and attacks, on a random model and real files."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.records import Sample
from mtrans.core.settings import ModelSettings
from mtrans.data.clips import Clip
from mtrans.data.collate import Item
from mtrans.infer.attack import Attacked, Ball, l_infinity, loss_of, pgd, sign_noise
from mtrans.infer.conditions import Perturbed, Reordered, _next_video
from mtrans.infer.predictor import Predictor, load_predictor
from mtrans.infer.robustness import choose, plan, run_robustness
from mtrans.measure.predictions import read_predictions
from mtrans.measure.robustness import robustness
from mtrans.train.run_folder import RunFolder
from mtrans.train.sources import video_source
from train.small import small_settings


@pytest.fixture(scope="module")
def predictor(run: RunFolder) -> Predictor:
    return load_predictor(run.path, device="cpu")


def choices(samples: list[Sample]) -> list[Sample]:
    return [s for s in samples if s.choices]


def test_severity_0_gives_the_same_answers(predictor: Predictor, samples: list[Sample]) -> None:
    asked = choices(samples)[:3]
    clean = [p.log_likelihoods for p in predictor.predict(asked, use_cache=False)]
    for name in ("shuffle", "crop", "noise", "typos"):
        made = list(predictor.predict(asked, condition=Perturbed(name, 0)))
        for a, b in zip(clean, made, strict=True):
            assert a == pytest.approx(b.log_likelihoods, abs=1e-5)


def test_cached_features_and_live_frames_are_reordered_alike(
    predictor: Predictor, samples: list[Sample]
) -> None:
    asked = choices(samples)[:3]
    for name in ("reverse", "drop"):
        pair = [
            [
                p.log_likelihoods
                for p in predictor.predict(asked, use_cache=cached, condition=Perturbed(name, 5))
            ]
            for cached in (False, True)
        ]
        for a, b in zip(*pair, strict=True):
            assert a == pytest.approx(b, abs=1e-4)


def test_reversed_frames_keep_their_times(predictor: Predictor, samples: list[Sample]) -> None:
    source = video_source(predictor.backbone, predictor.settings)
    frames, times = source.get(samples[0])
    back, when = Reordered(source, Perturbed("reverse", 5)).get(samples[0])
    assert np.array_equal(back, frames[::-1])
    assert np.array_equal(when, times)


def test_cut_in_takes_frames_of_another_file(predictor: Predictor, samples: list[Sample]) -> None:
    condition = Perturbed("cut_in", 5)
    source = condition.pixels(predictor, samples)
    assert source is not None
    usual = video_source(predictor.backbone, predictor.settings)
    own, _ = usual.get(samples[0])
    theirs, _ = usual.get(samples[2])
    assert samples[0].video != samples[2].video
    made, _ = source.get(samples[0])
    same = [np.abs(made[t] - own[t]).max() < 1e-6 for t in range(len(own))]
    assert same.count(False) == 2  # two of three frames, the most that leaves one
    place = same.index(False)
    assert np.abs(made[place] - theirs[place]).max() < np.abs(made[place] - own[place]).max()


def test_a_model_without_order_answers_alike_whatever_the_order(
    small: Path, samples: list[Sample]
) -> None:
    image_model = load_predictor(small / "backbone", device="cpu")  # mqt off, mean of frames
    asked = choices(samples)[:3]
    clean = list(image_model.predict(asked, use_cache=False))
    for name in ("reverse", "shuffle"):
        made = image_model.predict(asked, use_cache=False, condition=Perturbed(name, 5))
        for a, b in zip(clean, made, strict=True):
            assert a.log_likelihoods == pytest.approx(b.log_likelihoods, abs=1e-5)


def test_a_test_goes_on_where_it_stopped(
    predictor: Predictor, samples: list[Sample], tmp_path: Path
) -> None:
    conditions = plan(["reverse", "noise"], [1])
    assert [c.to_json()["name"] for c in conditions] == ["reverse", "noise"]
    assert [c.to_json()["severity"] for c in conditions] == [5, 1]
    seen: list[tuple[int, int]] = []
    run_robustness(predictor, samples, tmp_path, conditions, progress=lambda *at: seen.append(at))
    found = robustness(tmp_path)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [r["name"] for r in found["rows"]] == ["reverse", "noise"]
    assert found["clean"]["n"] == len(samples)
    kept = (tmp_path / "noise-1.jsonl").stat().st_mtime_ns
    lines = (tmp_path / "reverse-5.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "reverse-5.jsonl").write_text("".join(lines[:5]))
    run_robustness(predictor, samples, tmp_path, conditions)
    again = robustness(tmp_path)
    assert again["rows"] == found["rows"]
    assert len(read_predictions(tmp_path / "reverse-5.jsonl")) == len(samples)
    assert (tmp_path / "noise-1.jsonl").stat().st_mtime_ns >= kept
    with pytest.raises(CheckpointError, match="condition"):
        run_robustness(predictor, samples, tmp_path, plan(["noise"], [1], seed=7))


def test_limit_draws_whole_clips(samples: list[Sample]) -> None:
    some = choose(samples, 5, seed=1)
    assert len(some) == 6  # two questions a clip
    assert len({s.video for s in some}) == 3
    assert choose(samples, 5, seed=1) == some
    assert choose(samples, None) == samples
    two = choose(samples, None, seed=1, clips=2)
    assert len({s.video for s in two}) == 2
    assert two == [s for s in samples if s.video in {t.video for t in two}]


def test_what_is_asked_for_is_checked() -> None:
    with pytest.raises(SettingsError, match="--severities 6"):
        plan([], [6])
    with pytest.raises(SettingsError, match="did you mean 'noise'"):
        plan(["nois"], [1])
    names = [c.to_json()["name"] for c in plan([], [3], dialogue=False)]
    assert "typos" in names
    assert "no_context" not in names
    assert "pgd" not in names
    assert [c.to_json()["name"] for c in plan(["pgd"], [3])] == ["pgd"]


@pytest.mark.parametrize("bound", [2 / 255, 8 / 255])
def test_pgd_raises_the_loss_more_than_noise_of_the_same_bound(bound: float) -> None:
    model = tiny_video_model(ModelSettings())
    batch = tiny_batch(model, batch=3, answer=2)
    clean = batch["pixel_values"].clamp(-1, 1)
    std = (0.5, 0.5, 0.5)
    ball = Ball.around(clean, bound, mean=std, std=std)
    before = loss_of(model, batch, clean).item()
    drawn = torch.rand(clean.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = sign_noise(ball, drawn)
    changed = pgd(model, batch, ball, drawn)
    for moved in (noise, changed):
        assert l_infinity(moved, clean, std) <= bound + 1e-6
        assert moved.min() >= -1 - 1e-6
        assert moved.max() <= 1 + 1e-6
    attacked = loss_of(model, batch, changed).item()
    assert attacked > before
    assert attacked > loss_of(model, batch, noise).item()
    assert all(p.grad is None for p in model.parameters())


def test_a_model_without_eyes_has_no_pixels_to_attack(small: Path, samples: list[Sample]) -> None:
    settings = small_settings(small / "backbone", small / "cache", **{"model.vision": False})
    blind = load_predictor(small / "backbone", settings=settings, device="cpu")
    with pytest.raises(SettingsError, match="sees none"):
        list(blind.predict(choices(samples)[:1], condition=Attacked("pgd", 1)))


def test_noise_is_each_questions_own(predictor: Predictor, samples: list[Sample]) -> None:
    asked = choices(samples)[:2]
    attack = Attacked("pgd_noise", 5)
    source = video_source(predictor.backbone, predictor.settings)
    items: list[Item] = [(s, *source.get(s)) for s in asked]
    together = attack.items(predictor, items)
    alone = attack.items(predictor, items[1:])
    assert np.array_equal(together[1][1], alone[0][1])
    moved = [np.sign(new[1] - old[1]) for new, old in zip(together, items, strict=True)]
    assert not np.array_equal(moved[0], moved[1])


def test_an_attack_is_a_condition(predictor: Predictor, samples: list[Sample]) -> None:
    asked = choices(samples)[:2]
    clean = list(predictor.predict(asked, use_cache=False))
    worse = list(predictor.predict(asked, condition=Attacked("pgd", 5)))

    def right(p: object) -> float:
        return p.log_likelihoods[p.label]  # type: ignore[attr-defined]

    assert sum(map(right, worse)) < sum(map(right, clean))
    unanswered = [dataclasses.replace(asked[0], answer=None, label=None)]
    with pytest.raises(SettingsError, match="an attack needs one"):
        list(predictor.predict(unanswered, condition=Attacked("pgd", 5)))
    with pytest.raises(SettingsError, match="severity 9"):
        Attacked("pgd", 9)


def test_the_clip_that_is_cut_in_is_the_next_of_another_file_however_many_there_are() -> None:
    a, b, c = (Clip("x.mp4", 0.0, 1.0), Clip("x.mp4", 1.0, 2.0), Clip("y.mp4", None, None))
    assert _next_video([a, b, c]) == {a: c, b: c, c: a}
    assert _next_video([a, c, b]) == {a: c, c: b, b: c}
    assert _next_video([a, b]) == {a: a, b: b}, "there is no other file"
    assert _next_video([]) == {}
    many = [Clip("x.mp4", float(n), None) for n in range(10_000)]
    began = time.process_time()
    assert set(_next_video([*many, c]).values()) == {c, many[0]}
    assert time.process_time() - began < 5
