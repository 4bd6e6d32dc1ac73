"""Perturbations: severity 0 is nothing, draws are seeded, more severe is further away."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample, Turn
from mtrans.core.settings import FrameSettings
from mtrans.video.clip import load_clip
from mtrans.video.container import Frames
from mtrans.video.perturb import PERTURBATIONS, SEVERITIES, draws, find
from mtrans.video.perturb.clip import ClipChange
from mtrans.video.perturb.registry import checked_names
from mtrans.video.write import write_video

SETTINGS = FrameSettings(count=6)
NAMES = list(PERTURBATIONS)
VISUAL = [n for n in NAMES if find(n).kind in ("order", "moments", "pixels", "cut_in")]
PIXELS = [n for n in NAMES if find(n).kind in ("pixels", "cut_in")]
GRADED = [n for n in PIXELS if len(find(n).levels) == 5]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 12 frames a second: a square on a gradient moves to the right."""
    path = tmp_path_factory.mktemp("perturb") / "clip.mp4"
    frames = np.zeros((24, 48, 64, 3), np.uint8)
    frames[...] = np.linspace(20, 160, 64, dtype=np.uint8)[None, None, :, None]
    for t in range(24):
        frames[t, 10:26, 2 + 2 * t : 14 + 2 * t] = (240, 60, 30)
    write_video(path, frames, fps=12, crf=10)
    return path


def other() -> Frames:
    return Frames(np.full((6, 20, 30, 3), 200, np.uint8), np.arange(6.0))


def changed(clip: Path, name: str, severity: int, seed: int = 0, key: str = "a") -> Frames:
    return load_clip(clip, SETTINGS, change=ClipChange(find(name), severity, seed, key, other))


def distance(a: Frames, b: Frames) -> float:
    return float(np.abs(a.pixels.astype(float) - b.pixels).mean())


@pytest.mark.parametrize("name", VISUAL)
def test_severity_0_is_the_clip_and_every_other_is_not(clip: Path, name: str) -> None:
    clean, same = load_clip(clip, SETTINGS), changed(clip, name, 0)
    assert np.array_equal(clean.pixels, same.pixels)
    assert np.array_equal(clean.times, same.times)
    for severity in (1, 5):
        made = changed(clip, name, severity)
        assert made.pixels.dtype == np.uint8
        assert made.pixels.shape[1:] == clean.pixels.shape[1:]
        assert len(made.pixels) == len(made.times)
        assert made.pixels.shape != clean.pixels.shape or distance(made, clean) > 0


@pytest.mark.parametrize("name", VISUAL)
def test_the_same_seed_gives_the_same_clip(clip: Path, name: str) -> None:
    a, b = changed(clip, name, 4), changed(clip, name, 4)
    assert np.array_equal(a.pixels, b.pixels)
    assert np.array_equal(a.times, b.times)


@pytest.mark.parametrize("name", ["noise", "occlusion", "crop", "shuffle", "drop"])
def test_another_seed_or_clip_gives_other_draws(clip: Path, name: str) -> None:
    made = [changed(clip, name, 3, seed=s).pixels.tobytes() for s in range(6)]
    keys = [changed(clip, name, 3, key=k).pixels.tobytes() for k in "abcdef"]
    assert len(set(made)) > 1
    assert len(set(keys)) > 1


@pytest.mark.parametrize("name", GRADED)
def test_more_severe_is_further_from_the_clip(clip: Path, name: str) -> None:
    clean = load_clip(clip, SETTINGS)
    far = [distance(changed(clip, name, s), clean) for s in SEVERITIES]
    assert far == sorted(far)
    assert far[4] > far[0]


def test_reverse_twice_is_the_clip_and_times_stay() -> None:
    rng = draws(0, "reverse", "a")
    content, times = find("reverse").act(5, 1.0, rng)
    assert content.tolist() == [4, 3, 2, 1, 0]
    assert times.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("frames", [2, 3, 4, 8, 16])
def test_shuffle_moves_as_many_frames_as_it_says_and_loses_none(frames: int) -> None:
    before = 0
    for severity in SEVERITIES:
        level = find("shuffle").level(severity)
        content, _ = find("shuffle").act(frames, level, draws(1, "shuffle", "a"))
        assert sorted(content) == list(range(frames))
        moved = int((content != np.arange(frames)).sum())
        assert moved == min(frames, max(2, round(level * frames)))
        assert moved >= before
        before = moved


@pytest.mark.parametrize("frames", [1, 2, 4, 8])
def test_drop_keeps_a_frame_and_loses_more_where_more_severe(frames: int) -> None:
    kept: set[int] = set(range(frames))
    for severity in SEVERITIES:
        content, times = find("drop").act(
            frames, find("drop").level(severity), draws(0, "drop", "a")
        )
        assert np.array_equal(content, times)
        assert len(content) >= 1
        assert set(content.tolist()) <= kept
        kept = set(content.tolist())


def test_freeze_and_still_repeat_frames_and_keep_all_times() -> None:
    content, times = find("freeze").act(4, 0.75, draws(0, "freeze", "a"))
    assert content.tolist() == [0, 0, 0, 0]
    assert times.tolist() == [0, 1, 2, 3]
    content, _ = find("still").act(5, 1.0, draws(0, "still", "a"))
    assert content.tolist() == [2] * 5


def test_moments_stay_in_the_window_and_frame_rate_repeats_pictures(clip: Path) -> None:
    times = np.array([0.7, 0.9, 1.1, 1.3])
    for name in ("crop", "frame_rate", "slow_motion"):
        for severity in SEVERITIES:
            change = ClipChange(find(name), severity, 0, "a")
            made = change.times(times, 0.6, 1.4)
            assert (made >= 0.6).all()
            assert (made <= 1.4).all()
            assert (np.diff(made) >= 0).all()
    slow = ClipChange(find("frame_rate"), 5, 0, "a").times(times, 0.6, 1.4)
    assert slow.tolist() == [0.6] * 4  # one picture for four frames


def test_blank_is_black_and_letterbox_keeps_the_middle(clip: Path) -> None:
    assert changed(clip, "blank", 5).pixels.max() == 0
    boxed = changed(clip, "letterbox", 5).pixels
    assert boxed[:, :10].max() == 0
    assert boxed[:, 20:28].max() > 100


def test_occlusion_covers_the_area_it_says(clip: Path) -> None:
    clean, made = load_clip(clip, SETTINGS), changed(clip, "occlusion", 5)
    share = float((made.pixels == 128).all(axis=-1).mean())
    assert share == pytest.approx(0.5, abs=0.03)
    assert not np.array_equal(clean.pixels, made.pixels)


def test_compression_takes_clips_of_odd_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 33, 21, 3)).astype(np.uint8)
    for name in ("h264", "jpeg"):
        made = find(name).act(pixels, find(name).level(1), draws(0, name, "a"))
        assert made.shape == pixels.shape


def test_typos_swap_neighbours_and_grow_with_severity() -> None:
    question = "which way does the yellow triangle move without the others touching it?"
    sample = Sample(
        id="a", video=None, question=question, choices=("left", "right"), context=(Turn("hello"),)
    )
    before: list[str] = []
    for severity in SEVERITIES:
        made = find("typos").act(sample, find("typos").level(severity), draws(3, "typos", "a"))
        assert made.choices == sample.choices
        words = made.question.split()
        assert [Counter(w) for w in words] == [Counter(w) for w in question.split()]
        wrong = [w for w, r in zip(words, question.split(), strict=True) if w != r]
        assert set(before) <= set(wrong)  # nobody is put right again
        before = wrong
    assert len(before) >= 5


def test_names_and_context_go_oldest_first() -> None:
    turns = tuple(Turn(str(i), f"s{i}") for i in range(4))
    sample = Sample(id="a", video=None, question="?", context=turns)
    bare = find("no_names").act(sample, 1.0, draws(0, "no_names", "a"))
    assert [t.speaker for t in bare.context] == [None] * 4
    assert [t.text for t in bare.context] == ["0", "1", "2", "3"]
    act = find("no_context").act
    assert [t.text for t in act(sample, 0.4, draws(0, "", "")).context] == ["2", "3"]
    assert act(sample, 1.0, draws(0, "", "")).context == ()


def test_sound_noise_has_the_ratio_it_says_and_silence_is_silent() -> None:
    wave = (0.1 * np.sin(np.arange(16000) / 20)).astype(np.float32)
    for level in (20, 0):
        noise = find("sound_noise").act(wave, level, draws(0, "n", "a")) - wave
        ratio = 10 * np.log10(np.mean(wave**2) / np.mean(noise**2))
        assert ratio == pytest.approx(level, abs=0.3)
    gone = find("silence").act(wave, 0.4, draws(0, "s", "a"))
    assert (gone == 0).sum() >= 6400
    assert np.array_equal(find("silence").act(wave, 0.0, draws(0, "s", "a")), wave)


def test_names_are_checked() -> None:
    assert checked_names(["reverse", "drop"]) == ["drop", "reverse"]
    assert "sound_noise" not in checked_names([])
    with pytest.raises(SettingsError, match="did you mean 'reverse'"):
        checked_names(["revers"])
    with pytest.raises(SettingsError, match="does not hear"):
        checked_names(["silence"])
    with pytest.raises(SettingsError, match="wanted 1 to 5"):
        find("noise").level(6)
