from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtrans.core.errors import VideoError
from mtrans.core.records import Sample
from mtrans.core.settings import FrameSettings, ModelSettings, RunSettings
from mtrans.data import dataset as dataset_module
from mtrans.data.clips import find_bad, without_bad
from mtrans.data.collate import pad_frames
from mtrans.data.dataset import ClipDataset, VideoSource
from mtrans.video.preprocess import PreprocessSettings

from ._cache_worker import encode, open_cache, samples_in

FRAMES = FrameSettings(count=4)
SMALL = PreprocessSettings(height=16, width=16)


def test_from_cache_equals_from_video(tmp_path, clips):
    samples = samples_in(clips)
    cache = open_cache(tmp_path)
    cache.fill(samples, encode)
    live = ClipDataset(samples, RunSettings(), VideoSource(FRAMES, SMALL))
    cached = ClipDataset(samples, RunSettings(), cache)
    assert len(live) == len(cached) == 6
    for index in range(6):
        sample, pixels, times = live[index]
        same, features, when = cached[index]
        assert same is sample is samples[index]
        assert pixels.shape == (4, 3, 16, 16)
        np.testing.assert_array_equal(encode(pixels), features)
        np.testing.assert_array_equal(times, when)
    batch = pad_frames([cached[0], cached[1]])
    assert batch["patch_features"].shape == (2, 4, 2, 3)
    assert batch["patch_features"].dtype == torch.float32


def test_a_bad_clip_names_its_sample(tmp_path, clips):
    broken = tmp_path / "b.mp4"
    broken.write_text("no video")
    samples = [*samples_in(clips), Sample("b1", str(broken), "q"), Sample("b2", str(broken), "r")]
    source = VideoSource(FRAMES, SMALL)
    with pytest.raises(VideoError, match=r"^sample 'b1': .*b\.mp4"):
        ClipDataset(samples, RunSettings(), source)[6]
    calls = []
    bad = find_bad(samples, source, lambda *c: calls.append(c))
    assert [b.ids for b in bad] == [("b1", "b2")]
    assert "b.mp4" in bad[0].reason
    assert calls[-1] == (7, 7)
    text = Sample("t", None, "q")
    assert without_bad([*samples, text], bad) == [*samples[:6], text]


def test_questions_about_one_clip_decode_it_once(clips, monkeypatch):
    decoded = []
    real = dataset_module.load_clip

    def counted(path, *arguments):
        decoded.append(Path(path).name)
        return real(path, *arguments)

    monkeypatch.setattr(dataset_module, "load_clip", counted)
    video = str(clips / "0.mp4")
    samples = [Sample(str(n), video, f"q{n}?") for n in range(4)]
    zero, one, two, three = samples_in(clips)[:4]
    samples += [Sample("w", video, "q?", start=0.5), one, zero, two, zero, one, three, zero]
    data = ClipDataset(samples, RunSettings(), VideoSource(FRAMES, SMALL, keep=3))
    for index in range(len(samples)):
        assert data[index][0] is samples[index]
    # three places: the window goes when 2 comes, 2 (least recently used) when 3 comes
    assert decoded == ["0.mp4", "0.mp4", "1.mp4", "2.mp4", "3.mp4"]
    assert data.source.get(two) is not None
    assert decoded[5:] == ["2.mp4"]


def test_without_vision_nothing_is_read_and_nothing_is_told(tmp_path):
    blind = RunSettings(model=ModelSettings(vision=False), frames=FRAMES)
    samples = [Sample("a", str(tmp_path / "none.mp4"), "q?"), Sample("b", None, "q?")]
    data = ClipDataset(samples, blind, VideoSource(FRAMES, SMALL))
    for index in range(2):
        _, pixels, times = data[index]
        assert not pixels.any()
        assert pixels.shape == (4, 3, 16, 16)
        assert times.tolist() == [0, 1, 2, 3]
    seeing = ClipDataset(samples, RunSettings(frames=FRAMES), VideoSource(FRAMES, SMALL))
    assert not seeing[1][1].any()
    cached = ClipDataset(samples, blind, open_cache(tmp_path, feature_shape=(2, 3)))
    assert cached[0][1].shape == (4, 2, 3)
