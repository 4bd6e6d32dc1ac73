from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mtrans.data.clips import Clip
from mtrans.data.looks import NEAR, frame_hash, looks_of, near_pairs
from mtrans.video.write import write_video


def picture(seed: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A smooth random picture, the same at any size."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def apart(a: np.ndarray, b: np.ndarray) -> int:
    one, two = frame_hash(a), frame_hash(b)
    assert one is not None
    assert two is not None
    return (one ^ two).bit_count()


def test_hash_survives_size_and_brightness_but_not_another_picture():
    one = picture(1)
    assert apart(one, picture(1, (200, 120))) <= NEAR
    assert apart(one, (one * 0.7 + 20).astype(np.uint8)) <= NEAR
    others = [apart(one, picture(seed)) for seed in range(2, 12)]
    assert min(others) > 2 * NEAR


def test_a_flat_frame_has_no_look():
    assert frame_hash(np.full((40, 40, 3), 17, np.uint8)) is None


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("looks")

    def clip(name: str, seed: int, size: tuple[int, int] = (96, 64)) -> Clip:
        path = folder / f"{name}.mp4"
        write_video(path, np.stack([picture(seed, size)] * 8), fps=8)
        return Clip(str(path), None, None)

    (folder / "broken.mp4").write_text("no video")
    return [
        clip("one", 1),
        clip("again", 1, (128, 96)),
        clip("other", 2),
        Clip(str(folder / "broken.mp4"), None, None),
    ]


def test_pairs_stand_in_different_splits_and_are_remembered(clips, tmp_path, monkeypatch):
    memory = tmp_path / "looks.json"
    looks = looks_of(clips, memory)
    assert set(looks) == set(clips[:3])
    splits = dict(zip(clips, [{"train"}, {"test"}, {"test"}, {"test"}], strict=True))
    assert near_pairs(looks, splits) == [(clips[0], clips[1])]
    assert near_pairs(looks, {clip: {"train"} for clip in clips}) == []
    monkeypatch.setattr("mtrans.data.looks.load_clip", None)  # any reading would fail
    assert looks_of(clips[:3], memory) == looks
