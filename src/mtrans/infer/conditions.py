"""What is done to clips and questions before a model answers: tests of robustness, never training.

    Condition    nothing: the base, and what every other one leaves alone
    Perturbed    a named perturbation (mtrans.video.perturb)
    Attacked     a change of the pixels that is made against the model (mtrans.infer.attack)

Perturbations that look at pixels or choose other moments decode the file; the feature cache, which
holds what is there without them, is neither read nor written. Those that only put sampled frames
into other places act on cached features as well: the frozen ViT sees each frame by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtrans.core.records import Sample
from mtrans.data.clips import Clip, Source, clip_of, clips_of
from mtrans.data.collate import Item
from mtrans.data.dataset import VideoSource
from mtrans.train.sources import preprocess_settings
from mtrans.video.clip import load_clip
from mtrans.video.container import Frames
from mtrans.video.perturb import draws, find
from mtrans.video.perturb.clip import ClipChange

if TYPE_CHECKING:
    from mtrans.infer.predictor import Predictor


class Condition:
    """Nothing is done."""

    def to_json(self) -> dict[str, Any]:
        """Returns what decides it, for the record beside the predictions."""
        return {"name": "clean"}

    def sample(self, sample: Sample) -> Sample:
        """Returns the question that is asked instead."""
        return sample

    def pixels(self, predictor: Predictor, samples: Sequence[Sample]) -> Source | None:
        """Returns a source of other pixels; None takes the usual source, cached or not."""
        return None

    def source(self, source: Source) -> Source:
        """Returns a source that stands before the one there is."""
        return source

    def items(self, predictor: Predictor, items: list[Item]) -> list[Item]:
        """Returns what is answered in place of a batch."""
        return items


class Perturbed(Condition):
    """A named perturbation.

    Args:
        name: Its name.
        severity: 1 to 5; 0 changes nothing.
        seed: Of the whole test.
    """

    def __init__(self, name: str, severity: int, seed: int = 0):
        self.what = find(name)
        self.severity = severity
        self.seed = seed
        self.level = self.what.level(severity) if severity else 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns name, kind, strength and seed."""
        return {
            "name": self.what.name,
            "kind": self.what.kind,
            "severity": self.severity,
            "level": self.level,
            "unit": self.what.unit,
            "about": self.what.about,
            "seed": self.seed,
        }

    def sample(self, sample: Sample) -> Sample:
        """Returns the question, changed by a perturbation of text."""
        if self.what.kind != "text" or not self.severity:
            return sample
        rng = draws(self.seed, self.what.name, sample.id)
        changed: Sample = self.what.act(sample, self.level, rng)
        return changed

    def pixels(self, predictor: Predictor, samples: Sequence[Sample]) -> Source | None:
        """Returns a source that decodes and perturbs, where pixels or moments change."""
        if self.what.kind not in ("pixels", "moments", "cut_in"):
            return None
        settings = predictor.settings.frames
        others = _next_video(list(clips_of(samples)))

        def change(clip: Clip) -> ClipChange:
            def other() -> Frames:
                there = others[clip]
                return load_clip(there.video, settings, there.start, there.end)

            return ClipChange(self.what, self.severity, self.seed, clip_name(clip), other)

        return VideoSource(settings, preprocess_settings(predictor.backbone), change=change)

    def source(self, source: Source) -> Source:
        """Returns the source with frames in other places, where the order changes."""
        return Reordered(source, self) if self.what.kind == "order" and self.severity else source


class Reordered:
    """A source whose frames, pixels or features, stand in other places.

    Args:
        source: Where they come from.
        condition: A perturbation of kind ``order``.
    """

    def __init__(self, source: Source, condition: Perturbed):
        self.inner = source
        self.condition = condition

    def get(self, sample: Sample) -> tuple[NDArray[np.floating] | Tensor, NDArray[np.float64]]:
        """Returns frames or features and their times, in other places."""
        frames, times = self.inner.get(sample)
        made = self.condition
        rng = draws(made.seed, made.what.name, clip_name(clip_of(sample)))
        content, when = made.what.act(len(times), made.level, rng)
        return frames[content], times[when]

    def blank(self, count: int) -> NDArray[np.float32]:
        """Returns `count` frames of zeros."""
        return self.inner.blank(count)


def clip_name(clip: Clip) -> str:
    """Returns what tells a clip from others, the same on every machine."""
    return f"{Path(clip.video).name} {clip.start} {clip.end}"


def _next_video(clips: list[Clip]) -> dict[Clip, Clip]:
    """Gives each clip one of another file: the next; itself where there is one file only."""
    found: dict[Clip, Clip] = {clip: clip for clip in clips}
    if len({clip.video for clip in clips}) < 2:
        return found
    # twice from the end: the clip after the last is the first
    following = clips[1:] + clips + clips[:1]
    for clip, after in zip(reversed(clips * 2), reversed(following), strict=True):
        found[clip] = after if after.video != clip.video else found[after]
    return found
