"""What a clip is, apart from the question about it: a file and a window. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from mtrans.core.errors import VideoError
from mtrans.core.records import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (done, total) as work goes on."""


class Clip(NamedTuple):
    """A window of a file; samples with several questions about one clip share it."""

    video: str
    """Path of the file."""

    start: float | None
    """Seconds from the file's beginning; None is the beginning."""

    end: float | None
    """Seconds from the file's beginning; None is the end."""


@dataclass(frozen=True)
class BadClip:
    """A clip that gives no frames, for the list a run keeps.

    Attributes:
        clip: The clip.
        reason: Why, on one line.
        ids: The samples that ask about it.
    """

    clip: Clip
    reason: str
    ids: tuple[str, ...]


class Source(Protocol):
    """Where a clip's frames come from: :class:`VideoSource` or :class:`FeatureCache`."""

    def get(self, sample: Sample) -> tuple[NDArray[np.floating] | Tensor, NDArray[np.float64]]:
        """Returns (pixels float[T, 3, H, W] or features float[T, P, Cv], times float64[T])."""

    def blank(self, count: int) -> NDArray[np.float32]:
        """Returns `count` frames of zeros in the shape of :meth:`get`."""


def clip_of(sample: Sample) -> Clip:
    """Returns the sample's clip.

    Raises:
        VideoError: The sample has no video.
    """
    if sample.video is None:
        raise VideoError(f"sample '{sample.id}' has no video; wanted the path of one")
    return Clip(sample.video, sample.start, sample.end)


def clips_of(samples: Iterable[Sample]) -> dict[Clip, list[Sample]]:
    """Groups samples by clip, in order of first use; samples without a video are left out."""
    clips: dict[Clip, list[Sample]] = {}
    for sample in samples:
        if sample.video is not None:
            clips.setdefault(clip_of(sample), []).append(sample)
    return clips


def find_bad(
    samples: Iterable[Sample], source: Source, progress: Progress | None = None
) -> list[BadClip]:
    """Reads every clip once and lists those that can't be read.

    Args:
        samples: What is going to be used.
        source: Where its frames come from.
        progress: Called after each clip.

    Returns:
        The bad clips, for `without_bad` and for the run's record.
    """
    clips = clips_of(samples)
    bad = []
    for done, (clip, users) in enumerate(clips.items(), 1):
        try:
            source.get(users[0])
        except VideoError as error:
            bad.append(BadClip(clip, str(error), tuple(s.id for s in users)))
        if progress is not None:
            progress(done, len(clips))
    return bad


def without_bad(samples: Iterable[Sample], bad: Iterable[BadClip]) -> list[Sample]:
    """Returns the samples whose clip is not among the bad ones."""
    clips = {b.clip for b in bad}
    return [s for s in samples if s.video is None or clip_of(s) not in clips]
