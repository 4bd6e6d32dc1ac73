"""One clip's perturbation, as `load_clip` takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtrans.video.container import Frames
from mtrans.video.perturb.registry import Perturbation, draws


@dataclass(frozen=True)
class ClipChange:
    """What happens to one clip on its way from the file to the frames.

    Attributes:
        what: The perturbation; of a kind that acts on moments, pixels or order.
        severity: 0 changes nothing.
        seed: Of the whole test.
        clip: What tells the clip from others, the same on every machine.
        other: Gives frames of another clip, for kind ``cut_in``.
    """

    what: Perturbation
    severity: int
    seed: int
    clip: str
    other: Callable[[], Frames] | None = None

    def times(self, times: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
        """Changes which moments are sampled.

        Args:
            times: float64[T] seconds.
            low: Clip's start.
            high: Clip's end.

        Returns:
            float64[T] within the clip.
        """
        if self.what.kind != "moments" or not self.severity:
            return times
        level = self.what.level(self.severity)
        changed = self.what.act(times, low, high, level, self._draws())
        return np.asarray(np.clip(changed, low, high), np.float64)

    def frames(self, frames: Frames) -> Frames:
        """Changes what was decoded."""
        if not self.severity:
            return frames
        level, kind = self.what.level(self.severity), self.what.kind
        if kind == "pixels":
            return replace(frames, pixels=self.what.act(frames.pixels, level, self._draws()))
        if kind == "cut_in":
            assert self.other is not None
            other = self.other().pixels
            return replace(frames, pixels=self.what.act(frames.pixels, other, level, self._draws()))
        if kind == "order":
            content, when = self.what.act(len(frames.times), level, self._draws())
            return Frames(frames.pixels[content], frames.times[when])
        return frames

    def _draws(self) -> np.random.Generator:
        return draws(self.seed, self.what.name, self.clip)
