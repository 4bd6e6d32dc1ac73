"""Named perturbations of clips, words and sound, with severities 1 to 5, each seeded.

    registry.py  what a perturbation is, the table of them, and how one is drawn
    order.py     which sampled frame stands in which place: drop, freeze, shuffle, reverse, still
    moments.py   which moments of the clip are sampled: crop, frame rate
    pixels.py    what is in the frames: noise, blur, light, occlusion, letterbox, blank
    coding.py    JPEG and H.264 again
    cut_in.py    frames of another clip in between
    text.py      question and dialogue: typos, no names, no context
    sound.py     waveforms: noise, silence

Severity 0 is always the identity. The draws of a clip depend on the seed, the perturbation and the
clip alone: neither the order of the clips nor the severity changes them, so that severity 5 goes
on where severity 4 stopped.
"""

from __future__ import annotations

from mtrans.video.perturb import coding, cut_in, moments, order, pixels, sound, text
from mtrans.video.perturb.registry import (
    PERTURBATIONS,
    SEVERITIES,
    Kind,
    Perturbation,
    draws,
    find,
)

__all__ = [
    "PERTURBATIONS",
    "SEVERITIES",
    "Kind",
    "Perturbation",
    "coding",
    "cut_in",
    "draws",
    "find",
    "moments",
    "order",
    "pixels",
    "sound",
    "text",
]
