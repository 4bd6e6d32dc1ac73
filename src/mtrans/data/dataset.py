"""Samples with their frames, one by one: what a data loader draws from.

Sample -- VideoSource: decode, preprocess --> pixels float[T, 3, H, W], times
       -- FeatureCache: read -------------> features float[T, P, Cv], times
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mtrans.core.errors import VideoError
from mtrans.core.records import Sample
from mtrans.core.settings import FrameSettings, RunSettings
from mtrans.data.clips import Clip, Source, clip_of
from mtrans.data.collate import Item
from mtrans.video.clip import Change, load_clip
from mtrans.video.preprocess import PreprocessSettings, preprocess


class VideoSource:
    """Pixels straight from the files.

    Args:
        frames: How clips are sampled.
        preprocess: How frames are prepared.
        keep: Clips of which the pixels are kept, for several questions about one clip in a row.
        change: Gives each clip's perturbation, for a test of robustness.
    """

    def __init__(
        self,
        frames: FrameSettings,
        preprocess: PreprocessSettings,
        *,
        keep: int = 8,
        change: Callable[[Clip], Change] | None = None,
    ):
        self.frames = frames
        self.preprocess = preprocess
        self.keep = keep
        self.change = change
        self._recent: OrderedDict[Clip, tuple[NDArray[np.float32], NDArray[np.float64]]] = (
            OrderedDict()
        )

    def get(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Returns a clip's (pixels float32[T, 3, H, W], times float64[T]).

        Raises:
            VideoError: The clip can't be read.
        """
        clip = clip_of(sample)
        if clip in self._recent:
            self._recent.move_to_end(clip)
            return self._recent[clip]
        change = self.change(clip) if self.change is not None else None
        shown = load_clip(clip.video, self.frames, clip.start, clip.end, change)
        self._recent[clip] = (preprocess(shown.pixels, self.preprocess), shown.times)
        result = self._recent[clip]
        if len(self._recent) > self.keep:
            self._recent.popitem(last=False)
        return result

    def blank(self, count: int) -> NDArray[np.float32]:
        """Returns pixels float32[count, 3, H, W] of zeros."""
        return np.zeros((count, 3, self.preprocess.height, self.preprocess.width), np.float32)


class ClipDataset(Dataset):
    """Samples with their frames; an item is what `Collator` takes.

    A sample without a video, and every sample where `model.vision` is false, gets frames of zeros
    a second apart: not even a clip's length can be told from them.

    Args:
        samples: What to draw from.
        settings: The run's settings; frames and model.vision are used.
        source: A `VideoSource` or a filled `FeatureCache`.
    """

    def __init__(self, samples: Sequence[Sample], settings: RunSettings, source: Source):
        self.samples = list(samples)
        self.settings = settings
        self.source = source

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        """Returns (sample, pixels float[T, 3, H, W] or features float[T, P, Cv], times float64[T]).

        Raises:
            VideoError: The clip can't be read; the message names the sample.
            CacheError: Its features are not there, or damaged.
        """
        sample = self.samples[index]
        if sample.video is None or not self.settings.model.vision:
            count = self.settings.frames.count
            return sample, self.source.blank(count), np.arange(count, dtype=np.float64)
        try:
            frames, times = self.source.get(sample)
        except VideoError as error:
            raise VideoError(f"sample '{sample.id}': {error}") from error
        return sample, frames, times
