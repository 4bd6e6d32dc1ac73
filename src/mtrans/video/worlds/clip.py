"""What every video world hands out: a clip, its questions, its facts.

A world is a function ``generate(rng, *, size, fps, seconds) -> WorldClip``. All randomness comes
from `rng`, so a seed is a clip; frames are drawn lazily, so truth without pixels costs little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from mtrans.core.records import Fact, Turn


@dataclass(frozen=True)
class ClipQuestion:
    """A question about a clip.

    Attributes:
        type: Its type, for break-downs.
        text: The question.
        answer: The right answer.
        choices: The candidates, for multiple choice; None for an open question.
        context: What was said before the question, oldest turn first.
    """

    type: str
    text: str
    answer: str
    choices: tuple[str, ...] | None = None
    context: tuple[Turn, ...] = ()

    @property
    def label(self) -> int | None:
        """Index of the right candidate; None for an open question."""
        return None if self.choices is None else self.choices.index(self.answer)


@dataclass(frozen=True)
class WorldClip:
    """A generated clip with its truth.

    Attributes:
        frames: T frames, uint8[H, W, 3] each; may be a generator that draws them when asked.
        fps: Frames a second.
        questions: Several, of different types.
        facts: What is known of the clip (number of objects, seconds, speed, occlusion, ...).
        audio: float32[S] in [-1, 1], mono; None where the world has no sound.
        sample_rate: Samples a second of `audio`.
        speaker: Who is seen or heard, for speaker-independent splits.
    """

    frames: Iterable[np.ndarray]
    fps: float
    questions: tuple[ClipQuestion, ...]
    facts: Mapping[str, Fact] = field(default_factory=dict)
    audio: np.ndarray | None = None
    sample_rate: int = 16000
    speaker: str | None = None


class World(Protocol):
    """Generates one clip; each world's own defaults are those of its signature.

    Answers are drawn before the clip is made, uniformly over the candidates, so that they are
    balanced whatever the question's words.
    """

    def __call__(
        self,
        rng: np.random.Generator,
        *,
        size: int = 64,
        fps: float = 8.0,
        seconds: float | None = None,
    ) -> WorldClip:
        """Returns a clip of `size` x `size` pixels; `seconds` None is the world's own length."""
        ...
