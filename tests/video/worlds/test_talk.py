"""In `talk` the words and the order of what the face does tell the label; nothing less does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mtrans.video.decode_audio import read_audio
from mtrans.video.worlds import language as words
from mtrans.video.worlds import talk
from mtrans.video.write import write_video

COUNT = 1600


@pytest.fixture(scope="module")
def scripts() -> list[talk.Script]:
    rng = np.random.default_rng(0)
    return [talk.write_script(rng) for _ in range(COUNT)]


def signs(values: list[bool]) -> np.ndarray:
    return np.where(np.asarray(values), 1.0, -1.0)


def held_out_accuracy(features: np.ndarray, target: np.ndarray) -> float:
    """Ridge regression on one half, accuracy of its sign on the other."""
    x = np.concatenate([features, np.ones((len(features), 1))], 1)
    half = len(x) // 2
    gram = x[:half].T @ x[:half] + 1.0 * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[:half].T @ target[:half])
    return float(np.mean(np.sign(x[half:] @ weights) == target[half:]))


def with_products(features: np.ndarray, sentiment: np.ndarray) -> np.ndarray:
    """Features, their signed squares, and all of it times the sentiment."""
    x = np.concatenate([features, features * np.abs(features), features**2], 1)
    return np.concatenate([x, x * sentiment[:, None], sentiment[:, None]], 1)


def chance(accuracy: float) -> bool:
    return abs(accuracy - 0.5) < 4 * 0.5 / np.sqrt(COUNT / 2)


def seen(scripts: list[talk.Script], frames: int = 4) -> np.ndarray:
    """Valence in `frames` uniformly sampled frames, float64[N, frames]."""
    picks = (np.arange(frames) + 0.5) / frames
    return np.stack([s.valence.at(s.times[(picks * s.frames).astype(int)]) for s in scripts])


def test_the_label_is_words_against_affect() -> None:
    for seed in range(60):
        script = talk.write_script(np.random.default_rng(seed))
        clip = talk.generate(np.random.default_rng(seed))
        question = clip.questions[0]
        last = question.context[-1]
        positive = any(_like(p, last.text) for p in words.POSITIVE)
        assert positive != any(_like(n, last.text) for n in words.NEGATIVE)
        course = script.valence if script.face_cue else script.semitones
        first, final = course.at(np.array([0.0, script.seconds]))
        assert question.type == "sarcasm"
        assert question.answer == ("yes" if positive != (final > first) else "no")
        assert last.speaker == clip.speaker == script.speaker
        assert question.text == words.Q_SARCASM.format(name=clip.speaker)
        assert all(t.speaker != clip.speaker for t in question.context[:-1])


def _like(template: str, text: str) -> bool:
    return re.fullmatch(re.escape(template).replace(r"\{thing\}", r"\w+"), text) is not None


def test_second_questions_are_true() -> None:
    kinds = set()
    for seed in range(60):
        script = talk.write_script(np.random.default_rng(seed))
        question = talk.generate(np.random.default_rng(seed)).questions[1]
        kinds.add((question.type, question.answer))
        if question.type == "hand":
            begin, end, height = script.hand
            whole = begin <= script.seconds / 3 and end >= script.seconds * 2 / 3
            assert (question.answer == "yes") == (whole and height > 0.5)
            assert question.answer == "yes" or height == 0
        else:
            assert question.answer == ("positive" if script.positive else "negative")
    assert len(kinds) == 4


def test_answers_and_cues_are_balanced(scripts: list[talk.Script]) -> None:
    for name in ("sarcastic", "positive", "rising", "asks_hand"):
        assert abs(np.mean([getattr(s, name) for s in scripts]) - 0.5) < 0.05, name
    poker, flat = ~np.array([[s.face_cue, s.voice_cue] for s in scripts]).T
    assert not (poker & flat).any()
    assert abs(poker.mean() - talk.POKER_FACE) < 0.03
    assert abs(flat.mean() - talk.FLAT_VOICE) < 0.03


def test_text_alone_is_at_chance(scripts: list[talk.Script]) -> None:
    texts = [f"{s.speaker} " + " ".join(f"{t.speaker} {t.text}" for t in s.turns) for s in scripts]
    split = [re.findall(r"\w+", t) for t in texts]
    vocabulary = sorted({w for t in split for w in t})
    bags = np.array([[w in t for w in vocabulary] for t in map(set, split)], float)
    label = signs([s.sarcastic for s in scripts])
    assert chance(held_out_accuracy(bags, label))
    # the same classifier reads the sentiment, so it can read
    assert held_out_accuracy(bags, signs([s.positive for s in scripts])) > 0.95


def test_centre_frame_is_at_chance(scripts: list[talk.Script]) -> None:
    centre = np.array([[s.valence.at(s.times)[s.frames // 2]] for s in scripts])
    sentiment = signs([s.positive for s in scripts])
    label = signs([s.sarcastic for s in scripts])
    assert chance(held_out_accuracy(with_products(centre, sentiment), label))
    assert chance(held_out_accuracy(with_products(centre, 0 * sentiment), label * sentiment))


def test_no_other_single_frame_comes_near_the_order(scripts: list[talk.Script]) -> None:
    sentiment = signs([s.positive for s in scripts])
    label = signs([s.sarcastic for s in scripts])
    values = seen(scripts, 4)
    for i in range(4):
        assert held_out_accuracy(with_products(values[:, i : i + 1], sentiment), label) < 0.85


@pytest.mark.parametrize("frames", [2, 4, 8])
def test_unordered_frames_are_at_chance(scripts: list[talk.Script], frames: int) -> None:
    sentiment = signs([s.positive for s in scripts])
    label = signs([s.sarcastic for s in scripts])
    ordered = seen(scripts, frames)
    assert chance(held_out_accuracy(with_products(np.sort(ordered), sentiment), label))
    assert held_out_accuracy(with_products(ordered, sentiment), label) > 0.9


def test_order_and_words_give_the_label_but_order_alone_does_not(
    scripts: list[talk.Script],
) -> None:
    values = seen(scripts)
    slope = np.sign(values[:, -1] - values[:, 0])
    label = signs([s.sarcastic for s in scripts])
    sentiment = signs([s.positive for s in scripts])
    assert np.mean(np.where(slope == 0, 1, -slope * sentiment) == label) >= 0.9
    assert chance(held_out_accuracy(values, label))
    pitch = np.array([s.semitones.at(np.array([0.0, s.seconds])) for s in scripts])
    assert chance(held_out_accuracy(pitch, label))
    assert np.mean(np.sign(pitch[:, 1] - pitch[:, 0]) * sentiment == -label) >= 0.85


def test_facts_speaker_and_length_do_not_tell(scripts: list[talk.Script]) -> None:
    rows = []
    for s in scripts:
        facts = talk._facts(s)
        assert not {"sarcastic", "rising", "conflict", "affect"} & set(facts)
        numbers = [float(v) for k, v in facts.items() if k != "sentiment"]
        rows.append([*numbers, *(s.speaker == n for n in words.NAMES), *s.place, s.microphone])
    sentiment = signs([s.positive for s in scripts])
    features = with_products(np.array(rows, float), sentiment)
    features = (features - features.mean(0)) / (features.std(0) + 1e-9)
    assert chance(held_out_accuracy(features, signs([s.sarcastic for s in scripts])))


def test_pitch_of_the_written_sound_goes_as_the_truth_says(tmp_path: Path) -> None:
    seen_directions = set()
    for seed in range(14):
        script = talk.write_script(np.random.default_rng(seed))
        clip = talk.generate(np.random.default_rng(seed))
        path = tmp_path / f"{seed}.mp4"
        write_video(path, clip.frames, clip.fps, clip.audio, clip.sample_rate)
        audio = read_audio(path, clip.sample_rate)
        assert audio is not None
        assert abs(len(audio) / clip.sample_rate - script.seconds) < 0.15
        first, last = _pitch(audio[: len(audio) // 4]), _pitch(audio[-len(audio) // 4 :])
        change = 12 * np.log2(last / first)
        if script.voice_cue:
            assert (change > 1.0) if script.rising else (change < -1.0), (seed, change)
            seen_directions.add(script.rising)
        else:
            assert abs(change) < 0.5
    assert seen_directions == {True, False}


def _pitch(audio: np.ndarray, rate: int = 16000) -> float:
    """Median pitch in Hz by autocorrelation over the loud windows."""
    windows = [audio[i : i + 800] for i in range(0, len(audio) - 800, 400)]
    energy = np.array([np.sum(w**2) for w in windows])
    found = []
    for w in (w for w, e in zip(windows, energy, strict=True) if e > 0.3 * energy.max()):
        correlation = np.correlate(w, w, "full")[len(w) - 1 :]
        low, high = rate // 400, rate // 60
        found.append(rate / (low + int(np.argmax(correlation[low:high]))))
    return float(np.median(found))


def test_a_seed_is_a_clip() -> None:
    a, b, c = (talk.generate(np.random.default_rng(s), size=32) for s in (3, 3, 4))
    assert a.questions == b.questions
    assert a.facts == b.facts
    assert a.audio is not None
    np.testing.assert_array_equal(a.audio, b.audio)
    first, again, other = (np.stack(list(x.frames)) for x in (a, b, c))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()
    assert first.dtype == np.uint8
    assert first.shape[1:] == (32, 32, 3)


def test_mouth_moves_while_the_voice_sounds() -> None:
    script = talk.write_script(np.random.default_rng(5))
    clip = talk.generate(np.random.default_rng(5))
    assert clip.audio is not None
    rms = [np.sqrt(np.mean(part**2)) for part in np.array_split(clip.audio, script.frames)]
    opening = talk.sound.loudness(script.syllables, script.times)
    assert np.corrcoef(rms, opening)[0, 1] > 0.8


def test_speakers_differ_and_stay_themselves() -> None:
    everyone = [talk.speaker_of(n) for n in words.NAMES]
    assert len({s.look for s in everyone}) == len(words.NAMES)
    assert len({s.voice.pitch for s in everyone}) == len(words.NAMES)
    assert everyone == [talk.speaker_of(n) for n in words.NAMES]
    assert np.ptp([s.look.rest for s in everyone]) > 0.1


@pytest.mark.parametrize(("fps", "seconds"), [(8.0, 2.0), (25.0, 1.0), (1.0, 3.0), (8.0, 0.01)])
def test_length_and_rate_are_as_asked(fps: float, seconds: float) -> None:
    clip = talk.generate(np.random.default_rng(0), size=16, fps=fps, seconds=seconds)
    assert len(list(clip.frames)) == max(1, round(seconds * fps))
    assert clip.audio is not None
    assert np.isfinite(clip.audio).all()
