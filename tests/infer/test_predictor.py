"""Asking and predicting with adapted and unadapted models."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtrans.core.calibration import Calibration, write_calibration
from mtrans.core.errors import CheckpointError, ManifestError, SettingsError, VideoError
from mtrans.core.files import read_jsonl
from mtrans.core.records import Sample, Turn
from mtrans.core.settings import load_settings
from mtrans.infer.answers import asked
from mtrans.infer.predictor import Predictor, as_image_model, load_predictor
from mtrans.train import sources
from mtrans.train.run_folder import RunFolder


@pytest.fixture(scope="module")
def predictor(run: RunFolder) -> Predictor:
    return load_predictor(run.path, device="cpu")


def answers(predictions: Any) -> list[tuple[Any, ...]]:
    return [(p.id, p.answer, p.choice, p.parse) for p in predictions]


def test_ask_gives_probabilities_of_the_candidates(
    predictor: Predictor, samples: list[Sample]
) -> None:
    ways = ("left", "right", "up it")
    answer = predictor.ask(samples[0].video, samples[0].question, ways)
    assert answer.probabilities is not None
    assert sum(answer.probabilities) == pytest.approx(1)
    assert answer.choice == int(np.argmax(answer.probabilities))
    assert answer.text == ways[answer.choice]
    assert answer.tokens["visual"] == 4
    assert len(answer.times) == 3
    assert answer.ms > 0
    assert answer.read_ms > 0


@pytest.mark.parametrize(
    "context",
    [
        [{"speaker": "ann", "text": "left right"}],
        {"speaker": "ann", "text": "left right"},
        [Turn("left right", "ann")],
        Turn("left right", "ann"),
    ],
)
def test_context_comes_as_turns_or_as_objects(context: Any) -> None:
    assert asked("a.mp4", "what is it ?", None, context).context == (Turn("left right", "ann"),)


def test_one_text_is_one_turn(predictor: Predictor, samples: list[Sample]) -> None:
    assert asked(None, "what is it ?", [], "hi there").context == (Turn("hi there"),)
    assert asked(None, "what is it ?", None, ["hi", Turn("yes")]).context == (
        Turn("hi"),
        Turn("yes"),
    )
    ways = ("left", "right")
    said = [predictor.ask(samples[0].video, "what ?", ways, c) for c in ("left up", ["left up"])]
    assert said[0].probabilities == said[1].probabilities


@pytest.mark.parametrize(
    ("question", "choices", "context", "wrong"),
    [
        (" ", None, None, "question: empty"),
        ("what ?", ["one", "one"], None, "'one' is given twice"),
        ("what ?", ["one"], None, "wanted at least two"),
        ("what ?", "one", None, 'choices: text "one"; wanted a list'),
        ("what ?", None, [{"who": "ann", "text": "hi"}], "unknown field 'who'"),
        ("what ?", None, [3], "context: turn 0 is number 3"),
    ],
)
def test_what_is_asked_wrongly_is_said_as_in_manifests(
    predictor: Predictor, question: str, choices: Any, context: Any, wrong: str
) -> None:
    with pytest.raises(ManifestError, match=wrong):
        predictor.ask(None, question, choices, context)


@pytest.mark.parametrize(
    ("file", "cut", "wrong"),
    [
        ("adapter_model.safetensors", True, "does not load, a file of it is damaged"),
        ("adapter_model.safetensors", False, "lacks adapter_model.safetensors"),
        ("adapter_config.json", True, "does not load, a file of it is damaged"),
        ("adapter_config.json", False, "lacks adapter_config.json"),
        ("mtrans.json", True, "is damaged"),
        ("mtrans.json", False, "lacks mtrans.json"),
    ],
)
def test_a_damaged_adapter_is_one_line_and_asks_no_network(
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    cut: bool,
    wrong: str,
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", no_network)
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns("checkpoints", "tensorboard"))
    place = copy / "adapter" / file
    content = place.read_bytes()
    place.unlink()
    if cut:
        place.write_bytes(content[: len(content) // 2])
    for name in (copy, copy / "adapter"):
        with pytest.raises(CheckpointError, match=wrong) as caught:
            load_predictor(name, device="cpu")
        assert "\n" not in str(caught.value)


def test_the_order_of_candidates_changes_nothing(
    predictor: Predictor, samples: list[Sample]
) -> None:
    ways = ("left", "right", "up it")
    forth = predictor.ask(samples[0].video, samples[0].question, ways)
    back = predictor.ask(samples[0].video, samples[0].question, ways[::-1])
    assert forth.text == back.text
    assert forth.probabilities == pytest.approx(tuple(reversed(back.probabilities or ())), abs=1e-6)


def test_ask_and_predict_agree_one_by_one_and_in_batches(
    predictor: Predictor, samples: list[Sample]
) -> None:
    batched = list(predictor.predict(samples, batch_size=5))
    single = list(predictor.predict(samples, batch_size=1, use_cache=False))
    assert answers(batched) == answers(single)
    for a, b, sample in zip(batched, single, samples, strict=True):
        asked = predictor.ask(sample.video, sample.question, sample.choices, sample.context)
        assert asked.text == a.answer
        if sample.choices:
            assert a.parse == "scored"
            assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)
            assert a.probabilities == pytest.approx(asked.probabilities, abs=1e-5)
            assert a.log_likelihoods is not None
            assert a.label == sample.label
        else:
            assert a.parse == "open"
            assert a.probabilities is None
            assert 1 <= a.tokens["answer"] <= predictor.max_new_tokens
        assert (a.type, a.group, dict(a.facts)) == (sample.type, sample.group, dict(sample.facts))
        assert a.target == sample.answer


def test_scores_are_those_of_the_training_loss(predictor: Predictor, samples: list[Sample]) -> None:
    """The likelihood of the right candidate is the (negative) loss of the same tokens."""
    choice = [s for s in samples if s.choices][:3]
    items = predictor._items(choice, sources.video_source(predictor.backbone, predictor.settings))
    predictions = list(predictor.predict(choice))
    with torch.no_grad():
        for item, prediction in zip(items, predictions, strict=True):
            batch = predictor.collate([item])
            count = int((batch["labels"] != -100).sum())
            loss = predictor.backbone.model(**batch).loss.item() * count
            assert prediction.log_likelihoods is not None
            assert prediction.label is not None
            assert prediction.log_likelihoods[prediction.label] == pytest.approx(-loss, abs=1e-4)


def test_a_clip_that_can_not_be_read_is_a_counted_failure(
    predictor: Predictor, samples: list[Sample], tmp_path: Path
) -> None:
    bad_path = tmp_path / "bad.mp4"
    bad_path.write_text("no video")
    bad = dataclasses.replace(samples[0], id="bad", video=str(bad_path))
    mixed = [samples[0], bad, samples[1]]
    for use_cache in (True, False):
        first, failed, last = predictor.predict(mixed, use_cache=use_cache)
        assert (failed.id, failed.parse, failed.answer, failed.choice) == (
            "bad",
            "failed",
            "",
            None,
        )
        assert failed.error is not None
        assert "bad.mp4" in failed.error
        assert (first.id, last.id) == (samples[0].id, samples[1].id)
        assert first.error is None
        with pytest.raises(VideoError, match=r"bad\.mp4"):
            list(predictor.predict(mixed, use_cache=use_cache, errors="raise"))
    with pytest.raises(VideoError, match=r"bad\.mp4"):
        predictor.ask(bad_path, "what is it ?")


def test_training_evaluation_and_ask_look_at_the_same_frames(
    run: RunFolder, small: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three get the frames that the run's recorded sampling says, pixel for pixel."""
    from mtrans.data.dataset import VideoSource
    from mtrans.video.clip import load_clip
    from mtrans.video.preprocess import preprocess

    predictor = load_predictor(run.adapter, device="cpu")
    assert predictor.settings.frames == run.settings().frames
    assert predictor.settings.frames.fps == 5.0
    sample = dataclasses.replace(samples[0], start=0.1, end=0.8)
    assert sample.video is not None
    shown = load_clip(sample.video, run.settings().frames, 0.1, 0.8)
    pixels = preprocess(shown.pixels, sources.preprocess_settings(predictor.backbone))

    seen: list[tuple[np.ndarray, np.ndarray]] = []
    original = VideoSource.get

    def spy(self: VideoSource, sample: Sample) -> Any:
        frames, times = original(self, sample)
        seen.append((np.asarray(frames), np.asarray(times)))
        return frames, times

    monkeypatch.setattr(VideoSource, "get", spy)
    predictor.ask(sample.video, sample.question, sample.choices, start=0.1, end=0.8)
    assert predictor.kept is not None
    predictor.kept.clear()  # a follow-up question looks at no pixels
    list(predictor.predict([sample], use_cache=False))
    from mtrans.train.adapt import adapt
    from train.small import small_settings

    values = {"train.max_steps": 1, "train.batch_size": 1, "train.use_cache": False}
    training = small_settings(small / "backbone", small / "cache", **values)
    training = dataclasses.replace(training, frames=run.settings().frames)
    adapt(training, [sample], None, small / "one_clip", progress=False)
    assert len(seen) == 4  # answered twice, trained on, and looked at once more to count its cost
    for frames, times in seen:
        np.testing.assert_array_equal(frames, pixels)
        np.testing.assert_array_equal(times, shown.times)


def test_an_unadapted_backbone_is_its_image_model(small: Path, samples: list[Sample]) -> None:
    """A clip whose frames are all alike gets the answer that its one frame gets."""
    predictor = load_predictor(small / "backbone", device="cpu")
    model = predictor.settings.model
    assert (model.mqt, model.routing, model.pool) == (False, "off", "mean")
    assert not any("router" in n for n, _ in predictor.backbone.model.named_parameters())
    from mtrans.data.dataset import VideoSource

    four = predictor._items(
        samples[:1], sources.video_source(predictor.backbone, predictor.settings)
    )
    sample, frames, times = four[0]
    still = (sample, np.repeat(np.asarray(frames)[:1], len(times), axis=0), times)
    single = (sample, np.asarray(frames)[:1], np.asarray(times)[:1])
    a, b = (predictor._answer([item])[0].log_likelihoods for item in (still, single))
    assert a == pytest.approx(b, abs=1e-4)
    moving = predictor._answer(four)[0].log_likelihoods
    assert moving != pytest.approx(b, abs=1e-4)
    assert isinstance(sources.video_source(predictor.backbone, predictor.settings), VideoSource)


def test_image_model_settings_keep_everything_else() -> None:
    settings = load_settings(preset="paper", overrides=["frames.count=6"])
    image = as_image_model(settings)
    assert image.frames.count == 6
    assert image.train == settings.train
    assert image.model.llm_text == settings.model.llm_text


def test_questions_without_a_video_are_answered(predictor: Predictor) -> None:
    answer = predictor.ask(None, "which way does the square move ?", ["left", "right"])
    assert answer.text in ("left", "right")
    assert answer.times == ()


def test_an_adapter_answers_alike_in_another_process(
    run: RunFolder, predictor: Predictor, samples: list[Sample]
) -> None:
    sample = samples[0]
    code = (
        "import json, sys; from mtrans.infer.predictor import load_predictor;"
        "p = load_predictor(sys.argv[1], device='cpu');"
        "a = p.ask(sys.argv[2], sys.argv[3], ['left', 'right', 'up it']);"
        "print(json.dumps(a.probabilities))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.adapter), str(sample.video), sample.question],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    here = predictor.ask(sample.video, sample.question, ["left", "right", "up it"])
    assert json.loads(done.stdout) == pytest.approx(here.probabilities, abs=1e-6)


def test_an_adapted_run_differs_from_its_start(
    run: RunFolder, small: Path, samples: list[Sample]
) -> None:
    adapted = load_predictor(run.path, device="cpu").ask(
        samples[0].video, "what is it ?", ["a", "up"]
    )
    before = load_predictor(small / "backbone", device="cpu").ask(
        samples[0].video, "what is it ?", ["a", "up"]
    )
    assert adapted.probabilities != pytest.approx(before.probabilities, abs=1e-3)


@pytest.mark.parametrize(
    ("family", "llm"),
    [("blip-2", "opt"), ("instructblip", "opt"), ("blip-2", "t5"), ("instructblip", "t5")],
)
def test_other_families_are_adapted_and_asked(
    family: str, llm: str, small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    from mtrans.train.adapt import adapt
    from train.small import make_backbone, small_settings

    folder = make_backbone(tmp_path / family, family, llm)
    settings = small_settings(folder, small / "cache", **{"train.max_steps": 2})
    run = adapt(settings, samples, None, tmp_path / "run", progress=False)
    made = list(load_predictor(run.path, device="cpu").predict(samples[:2]))
    assert [p.parse for p in made] == ["scored", "open"]


def test_an_encoder_decoder_learns_and_answers_alike_when_loaded(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    from mtrans.train.adapt import adapt
    from train.small import make_backbone, small_settings

    folder = make_backbone(tmp_path / "t5", llm="t5")
    values = {
        "train.max_steps": 24,
        "train.evaluate_every": 12,
        "train.learning_rate": 3e-2,
        "train.micro_batch_size": 2,
        "train.gradient_checkpointing": True,
        "model.pool": "concat",
        "frames.sampling": "fps",
        "frames.fps": 3.0,
    }
    settings = small_settings(folder, small / "cache", **values)
    run = adapt(settings, samples, samples, tmp_path / "run", progress=False)
    curve = [r["loss"] for r in read_jsonl(run.log_file) if "loss" in r]
    assert sum(curve[-5:]) < 0.8 * sum(curve[:5])
    predictor = load_predictor(run.path, device="cpu")
    made = list(predictor.predict(samples))
    again = list(load_predictor(run.path, device="cpu").predict(samples))
    assert [p.log_likelihoods for p in made] == [p.log_likelihoods for p in again]
    assert [p.answer for p in made] == [p.answer for p in again]
    assert {p.parse for p in made} == {"scored", "open"}
    short = load_predictor(run.path, device="cpu", max_new_tokens=1)
    answer = short.ask(samples[1].video, "what is it ?", context=samples[1].context)
    assert answer.tokens["answer"] == 1  # the decoder's start token is not part of it
    assert answer.tokens["visual"] == 4 * len(answer.times)


def test_a_run_with_bf16_weights_is_loaded_as_such(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    from mtrans.train.adapt import adapt
    from train.small import small_settings

    values = {"train.max_steps": 2, "dtype": "bf16", "train.precision": "bf16"}
    settings = small_settings(small / "backbone", small / "cache", **values)
    run = adapt(settings, samples, None, tmp_path / "run", progress=False)
    predictor = load_predictor(run.path, device="cpu")
    assert predictor.backbone.base.qformer.dtype == torch.bfloat16
    assert len(list(predictor.predict(samples[:3]))) == 3


def test_what_can_not_be_loaded_is_named(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        load_predictor(tmp_path / "nowhere", device="cpu")
    unfinished = RunFolder(tmp_path)
    unfinished.write_info({**run.info(), "status": "running"})
    with pytest.raises(CheckpointError, match="unfinished run"):
        load_predictor(tmp_path)


def test_a_runs_calibration_changes_probabilities_and_nothing_else(
    run: RunFolder, samples: list[Sample], tmp_path: Path
) -> None:
    ways = ("left", "right", "up it")
    plain = load_predictor(run.path, device="cpu").ask(samples[0].video, samples[0].question, ways)
    assert plain.probabilities == plain.raw_probabilities
    kept = shutil.copytree(run.path, tmp_path / "run")
    write_calibration(kept, Calibration("temperature", 0.5))
    cooled = load_predictor(kept, device="cpu").ask(samples[0].video, samples[0].question, ways)
    assert cooled.raw_probabilities == plain.probabilities
    assert cooled.probabilities is not None
    assert plain.probabilities is not None
    cool, warm = (math.log(p[0] / p[1]) for p in (cooled.probabilities, plain.probabilities))
    assert cool == pytest.approx(warm / 2, rel=1e-4)
    raw = load_predictor(kept, device="cpu", calibrated=False)
    assert raw.ask(samples[0].video, samples[0].question, ways).probabilities == plain.probabilities


def test_no_answer_is_given_below_the_threshold(
    predictor: Predictor, samples: list[Sample]
) -> None:
    clip, question, ways = samples[0].video, samples[0].question, ("left", "right", "up it")
    shares = predictor.ask(clip, question, ways).probabilities or ()
    below = predictor.ask(clip, question, ways, abstain_below=max(shares) - 0.01)
    assert not below.abstained
    assert below.text in ways
    above = predictor.ask(clip, question, ways, abstain_below=max(shares) + 0.01)
    assert above.abstained
    assert (above.text, above.choice, above.probabilities) == ("", None, shares)


@pytest.mark.parametrize(("below", "ways"), [(1.5, ("left", "right")), (0.5, None)])
def test_a_threshold_needs_a_probability_and_candidates(
    predictor: Predictor, samples: list[Sample], below: float, ways: tuple[str, ...] | None
) -> None:
    with pytest.raises(SettingsError, match="abstain_below"):
        predictor.ask(samples[0].video, samples[0].question, ways, abstain_below=below)


def test_a_prediction_repeats_what_is_known_of_its_clip(
    predictor: Predictor, samples: list[Sample]
) -> None:
    turn = Turn("which way", "square")
    asked = dataclasses.replace(samples[0], context=(turn,), start=0.2, end=0.8)
    (found,) = predictor.predict([asked], use_cache=False)
    assert (found.context, found.start, found.end) == ((turn,), 0.2, 0.8)
