"""A voice without words: what is heard in `talk`.

    syllables -> loudness and mouth opening
    pitch of the speaker + semitones over time -> phase -> harmonics under two formants -> samples

Sound and mouth come from the same syllables, so they agree; what the voice tells lies in the
course of its pitch alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 16000
HARMONICS = 14


@dataclass(frozen=True)
class Voice:
    """How a speaker sounds.

    Attributes:
        pitch: Base pitch in Hz.
        formants: Centres in Hz of the two loudest bands.
    """

    pitch: float
    formants: tuple[float, float]


@dataclass(frozen=True)
class Syllable:
    """One syllable of an utterance.

    Attributes:
        middle: Its loudest moment, in seconds.
        length: Its length in seconds.
        strength: 0 to 1.
    """

    middle: float
    length: float
    strength: float


def count_syllables(text: str) -> int:
    """Counts groups of vowels, near enough to syllables: ``"i love this cake"`` has 5."""
    return max(1, len(re.findall(r"[aeiouy]+", text.lower())))


def place_syllables(rng: np.random.Generator, count: int, seconds: float) -> tuple[Syllable, ...]:
    """Spreads syllables over an utterance that lasts nearly the whole clip.

    Args:
        rng: Source of all randomness.
        count: How many.
        seconds: Length of the clip.

    Returns:
        The syllables in order.
    """
    start, end = 0.06 * seconds, 0.94 * seconds
    gap = (end - start) / count
    middles = start + gap * (np.arange(count) + 0.5 + rng.uniform(-0.12, 0.12, count))
    lengths, strengths = rng.uniform(0.75, 1.0, count) * gap, rng.uniform(0.55, 1.0, count)
    return tuple(
        Syllable(float(m), float(d), float(s))
        for m, d, s in zip(middles, lengths, strengths, strict=True)
    )


def loudness(syllables: tuple[Syllable, ...], times: np.ndarray) -> np.ndarray:
    """Returns how loud it is, which is also how far the mouth is open.

    Args:
        syllables: The utterance.
        times: float[N] seconds.

    Returns:
        float64[N] in [0, 1], 0 between syllables.
    """
    total = np.zeros(len(times))
    for s in syllables:
        near = np.abs(times - s.middle) < s.length / 2
        total[near] += s.strength * np.cos(np.pi * (times[near] - s.middle) / s.length) ** 2
    return np.clip(total, 0.0, 1.0)


def sample_times(seconds: float) -> np.ndarray:
    """Returns the time of every audio sample of a clip, float64[S] seconds."""
    return np.arange(max(1, round(seconds * SAMPLE_RATE))) / SAMPLE_RATE


def speak(
    rng: np.random.Generator,
    voice: Voice,
    syllables: tuple[Syllable, ...],
    semitones: np.ndarray,
) -> np.ndarray:
    """Makes the sound of an utterance.

    Args:
        rng: Source of the breath noise.
        voice: Who speaks.
        syllables: When it is loud.
        semitones: float[S] pitch over the voice's base, at each of :func:`sample_times`.

    Returns:
        float32[S] in [-1, 1] at :data:`SAMPLE_RATE`.
    """
    pitch = voice.pitch * 2.0 ** (semitones / 12.0)
    phase = 2 * math.pi * np.cumsum(pitch) / SAMPLE_RATE
    # sin(k a) = 2 cos(a) sin((k-1) a) - sin((k-2) a): one cosine for all harmonics
    twice_cosine = 2 * np.cos(phase)
    before, now = np.zeros_like(phase), np.sin(phase)
    sound = np.zeros_like(phase)
    for k in range(1, HARMONICS + 1):
        sound += _weight(voice, k) * now
        before, now = now, twice_cosine * now - before
    sound *= loudness(syllables, np.arange(len(phase)) / SAMPLE_RATE)
    sound *= 0.6 / max(1e-6, float(np.abs(sound).max()))
    sound += 0.002 * rng.standard_normal(len(sound))
    return np.clip(sound, -1.0, 1.0).astype(np.float32)


def _weight(voice: Voice, k: int) -> float:
    """Returns the amplitude of harmonic k: falling, and louder near the formants."""
    hertz = k * voice.pitch
    near = sum(math.exp(-(((hertz - f) / 250.0) ** 2)) for f in voice.formants)
    return (0.35 + near) / k
