"""Waveforms changed: float32[S] in [-1, 1] -> the same. For models with ears; today's has none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtrans.video.perturb.registry import perturbation

Wave = NDArray[np.float32]


@perturbation("sound", (20, 12, 6, 0, -6), "signal-to-noise ratio in dB")
def sound_noise(wave: Wave, level: float, rng: np.random.Generator) -> Wave:
    """White noise in the sound.

    Args:
        wave: float32[S].
        level: Ratio of the sound's power to the noise's, in dB; infinite does nothing.
        rng: Draws the noise.

    Returns:
        float32[S].
    """
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    scale = (power / 10 ** (level / 10)) ** 0.5
    noisy = wave + scale * rng.standard_normal(len(wave), np.float32)
    return np.clip(noisy, -1, 1).astype(np.float32)


@perturbation("sound", (0.1, 0.25, 0.4, 0.6, 1.0), "share of the time")
def silence(wave: Wave, level: float, rng: np.random.Generator) -> Wave:
    """A stretch of the sound is gone.

    Args:
        wave: float32[S].
        level: Share of the time.
        rng: Draws where it begins.

    Returns:
        float32[S].
    """
    gone = round(len(wave) * level)
    begin = int(rng.random() * (len(wave) - gone + 1))
    made = wave.copy()
    made[begin : begin + gone] = 0
    return made
