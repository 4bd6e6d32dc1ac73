from __future__ import annotations

import shutil

import numpy as np
import pytest

from mtrans.core.records import Sample
from mtrans.data.leaks import LeakError, by_split, find_leaks, heed
from mtrans.video.write import write_video


def sample(id_: str, video: str | None, **more) -> Sample:
    return Sample(id_, video, "q", **more)


def test_the_same_name_on_two_sides():
    samples = [
        sample("1", "/c/a.mp4", split="train", speaker="ann", group="x"),
        sample("2", "/c/a.mp4", split="test", speaker="bob", group="x"),
        sample("3", "/c/b.mp4", split="test", speaker="ann", group="y"),
        sample("4", "/c/b.mp4", speaker="bob"),
        sample("5", None, split="train"),
    ]
    leaks = {leak.kind: leak for leak in find_leaks(by_split(samples), looks=False)}
    assert list(leaks) == ["video", "group", "speaker"]
    assert leaks["video"].names == ("'a.mp4' (train, test)",)
    assert list(by_split(reversed(samples))) == ["train", "test"]
    assert leaks["group"].of == 2
    assert str(leaks["speaker"]).startswith("speaker: 1 of 2 speakers is in several splits: 'ann'")
    assert find_leaks({"train": samples}, looks=False) == []


def test_copies_and_near_duplicates_are_found_by_content(tmp_path):
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    other = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    names = [str(tmp_path / f"{name}.mp4") for name in ("a", "copy", "near", "other")]
    write_video(names[0], np.stack([base] * 6), fps=6)
    shutil.copy(names[0], names[1])
    write_video(names[2], np.stack([base] * 7)[:, ::2, ::2], fps=6)
    write_video(names[3], np.stack([other] * 6), fps=6)
    parts = {
        "train": [sample("1", names[0])],
        "test": [sample(str(i), name) for i, name in enumerate(names[1:], 2)],
    }
    video, look = find_leaks(parts)
    assert (video.kind, video.names) == ("video", ("'a.mp4' = 'copy.mp4' (train, test)",))
    assert look.kind == "look"
    assert len(look.names) == 1
    assert "'near.mp4' (test)" in look.names[0]
    assert str(look).startswith("look: 1 pair of 3 clips in different splits look alike: ")
    assert [leak.kind for leak in find_leaks(parts, looks=False)] == []


def test_heed_warns_or_stops():
    parts = {"a": [sample("1", None, group="g")], "b": [sample("2", None, group="g")]}
    leaks = find_leaks(parts, looks=False)
    said: list[str] = []
    heed(leaks, strict=False, say=said.append)
    assert said == ["warning: group: 1 of 1 groups is in several splits: 'g' (a, b)"]
    with pytest.raises(LeakError, match="'g'"):
        heed(leaks, strict=True, say=said.append)
    heed([], strict=True, say=said.append)
