"""Feature cache: the frozen ViT's patch features of every clip, computed once.

    <folder>/contents.jsonl        file -> hash of its content
    <folder>/<spec>/spec.json      what these features are
    <folder>/<spec>/*.bin *.json   the features (see :mod:`mtrans.data.shards`)

The spec's hash covers frame settings, preprocessing, the backbone's frozen weights, the stored
dtype and the decoding code; a clip's key covers its file's content and window. Whatever changes,
the key changes with it: nothing stale can be read. The cache knows no model: `encode` is given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtrans.core.errors import CacheError, VideoError
from mtrans.core.files import make_folder, write_text
from mtrans.core.records import Sample
from mtrans.core.settings import CacheDtype, FrameSettings
from mtrans.data.clips import Clip, Progress, clip_of, clips_of
from mtrans.data.content import ContentIndex, writing
from mtrans.data.fill import Decoded, Encode, Filler, FillReport
from mtrans.data.forms import stored_bytes
from mtrans.data.shards import ShardStore
from mtrans.video.clip import load_clip
from mtrans.video.preprocess import PreprocessSettings, preprocess

if TYPE_CHECKING:
    from torch import Tensor

LAYOUT = 1


@dataclass(frozen=True)
class CacheEstimate:
    """What filling will cost.

    Attributes:
        clips: Distinct clips asked for.
        missing: Those not in the cache yet.
        bytes: Upper bound of what they will take on disk (a short clip may have fewer frames).
    """

    clips: int
    missing: int
    bytes: int


class FeatureCache:
    """Patch features of clips, memory-mapped.

    Args:
        folder: The cache's folder; None is :func:`default_folder`.
        frames: How clips are sampled.
        preprocess: How frames are prepared.
        backbone: Hash of the frozen weights that encode them.
        dtype: ``same`` stores what `encode` returns, so that training from the cache equals
            training from video, in 16 bit where bf16 holds it all; ``float16`` halves the size
            of float32 and rounds to 11 bits; ``int8`` takes a quarter and rounds to 8 bits, each
            token on a scale of its own.
        feature_shape: (P, Cv), needed for :meth:`estimate` and :meth:`blank` of an empty cache.

    Raises:
        CacheError: The folder holds something else under this name.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        frames: FrameSettings,
        preprocess: PreprocessSettings,
        backbone: str,
        dtype: CacheDtype = "same",
        feature_shape: tuple[int, int] | None = None,
    ):
        self.frames = frames
        self.preprocess = preprocess
        self.dtype = dtype
        self.spec = {
            "layout": LAYOUT,
            "frames": dataclasses.asdict(frames),
            "preprocess": dataclasses.asdict(preprocess),
            "backbone": backbone,
            "dtype": dtype,
            "decoding": _decoding_hash(),
        }
        root = Path(folder) if folder is not None else default_folder()
        text = json.dumps(self.spec, sort_keys=True)
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:20]
        self._check_spec(text)
        self.contents = ContentIndex(root / "contents.jsonl")
        self.store = ShardStore(self.folder)
        self._feature_shape = feature_shape

    def missing(self, samples: Iterable[Sample]) -> list[Clip]:
        """Returns the distinct clips whose features are not there, in order of first use.

        Raises:
            VideoError: A file can't be read.
        """
        self.store.refresh()
        return [clip for clip in clips_of(samples) if self._key(clip) not in self.store.entries]

    def estimate(self, samples: Iterable[Sample]) -> CacheEstimate:
        """Says what :meth:`fill` would compute and store, without doing it. Unreadable files count.

        Raises:
            CacheError: The features' shape is not known; give `feature_shape`.
        """
        self.store.refresh()
        clips = clips_of(samples)
        missing = sum(not self._present(clip) for clip in clips)
        form = self._form() if self.dtype == "same" else self.dtype
        one = stored_bytes((self.frames.count, *self.feature_shape), form)
        return CacheEstimate(clips=len(clips), missing=missing, bytes=missing * one)

    def fill(
        self,
        samples: Iterable[Sample],
        encode: Encode,
        progress: Progress | None = None,
        *,
        skip_bad: bool = False,
        workers: int | None = None,
        batch_frames: int = 64,
    ) -> FillReport:
        """Computes what is missing. Stopped at any point, even killed, it goes on where it was.

        Args:
            samples: Whose clips are needed.
            encode: float32[n, 3, H, W] -> float[n, P, Cv].
            progress: Called with (clips ready, clips in all).
            skip_bad: List unreadable clips in the report instead of stopping at the first.
            workers: Threads that decode ahead of `encode`; None is one a core, up to 8.
            batch_frames: Frames given to `encode` at once, rounded up to whole clips.

        Returns:
            What was done.

        Raises:
            VideoError: A clip can't be read (not with `skip_bad`).
            CacheError: `encode` returned something else than features, or the disk is full.
        """
        self.store.refresh()
        self.store.remove_damaged()
        filler = Filler(
            self.folder,
            self.store,
            key=self._key,
            decode=self._decode,
            dtype=self.dtype,
            users=clips_of(samples),
            skip_bad=skip_bad,
        )
        todo = filler.missing()
        self._save_spec()
        computed = filler.run(todo, encode, progress, workers=workers, batch_frames=batch_frames)
        self.store.refresh()
        return filler.report(computed)

    def get(self, sample: Sample) -> tuple[NDArray[np.floating] | Tensor, NDArray[np.float64]]:
        """Returns a clip's (features float[T, P, Cv], times float64[T]); not to be written to.

        Raises:
            CacheError: They are not there, or damaged.
            VideoError: The file can't be read.
        """
        return self.store.get(self._there(sample))

    def times(self, sample: Sample) -> NDArray[np.float64]:
        """Returns a clip's frame times float64[T] without its features.

        Raises:
            CacheError: They are not there.
            VideoError: The file can't be read.
        """
        return np.array(self.store.entries[self._there(sample)].times, dtype=np.float64)

    def _there(self, sample: Sample) -> str:
        """Returns the key under which a clip's features are."""
        clip = clip_of(sample)
        key = self._key(clip)
        if key not in self.store.entries:
            self.store.refresh()
        if key not in self.store.entries:
            why = f" ({len(self.store.damaged)} damaged shards)" if self.store.damaged else ""
            raise CacheError(f"{clip.video}: not in the cache {self.folder}{why}; fill it first")
        return key

    def blank(self, count: int) -> NDArray[np.float32]:
        """Returns features float32[count, P, Cv] of zeros.

        Raises:
            CacheError: The features' shape is not known; give `feature_shape`.
        """
        return np.zeros((count, *self.feature_shape), dtype=np.float32)

    @property
    def feature_shape(self) -> tuple[int, int]:
        """(P, Cv) of a frame."""
        for entry in self.store.entries.values():
            return entry.shape[1], entry.shape[2]
        if self._feature_shape is None:
            raise CacheError(f"{self.folder} is empty: the size of features is not known yet")
        return self._feature_shape

    def _form(self) -> str:
        for entry in self.store.entries.values():
            return entry.dtype
        return "float32"

    def _key(self, clip: Clip) -> str:
        return f"{self.contents.digest(clip.video)}@{clip.start}-{clip.end}"

    def _present(self, clip: Clip) -> bool:
        try:
            return self._key(clip) in self.store.entries
        except VideoError:
            return False

    def _check_spec(self, text: str) -> None:
        try:
            found = (self.folder / "spec.json").read_text(encoding="utf-8")
        except OSError:
            return  # not there yet; if the folder is at fault, writing says so
        if found != text:
            raise CacheError(f"{self.folder}/spec.json says something else; delete this folder")

    def _save_spec(self) -> None:
        with writing(self.folder):
            make_folder(self.folder)
            if not (self.folder / "spec.json").exists():
                write_text(
                    self.folder / "spec.json", json.dumps(self.spec, sort_keys=True), sync=True
                )

    def _decode(self, clip: Clip) -> Decoded:
        shown = load_clip(clip.video, self.frames, clip.start, clip.end)
        return Decoded(clip, preprocess(shown.pixels, self.preprocess), shown.times)


def default_folder() -> Path:
    """Returns ``mtrans`` below the user's cache folder (``$XDG_CACHE_HOME`` or ``~/.cache``)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mtrans"


def _decoding_hash() -> str:
    """Hash of code and libraries between a file and its pixels: if they change, features may."""
    import av
    import PIL

    from mtrans import video

    digest = hashlib.sha256(f"av {av.__version__} pillow {PIL.__version__}".encode())
    folder = Path(video.__path__[0])
    for path in sorted(folder.glob("*.py")):
        # the whole folder, so that a file split off later is not forgotten; these two only write
        # clips and read sound
        if path.name not in ("write.py", "decode_audio.py"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:20]
