"""Converting beside the decoder gives the same pixels, and an error there is not lost."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mtrans.video import decode, picture
from mtrans.video.decode import read_frames
from mtrans.video.picture import Pictures
from video.numbered import encode, number


def test_converting_beside_the_decoder_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    encode(str(path), [40 * i for i in range(60)], options={"g": "20", "bf": "3"})
    wanted = [0.04 * i for i in (50, 3, 3, 17, 18, 59, 0, 31, 32, 33)]
    alone = read_frames(path, wanted)
    monkeypatch.setattr(picture, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(decode, "threads_for", lambda width, height: 2)
    pools: list[object] = []
    pool = picture.ThreadPoolExecutor
    monkeypatch.setattr(
        picture, "ThreadPoolExecutor", lambda size: (pools.append(size), pool(size))[1]
    )
    beside = read_frames(path, wanted)
    assert pools == [1]
    assert np.array_equal(alone.pixels, beside.pixels)
    assert [number(frame) for frame in beside.pixels] == [50, 3, 3, 17, 18, 59, 0, 31, 32, 33]


@pytest.mark.parametrize("beside", [False, True])
def test_an_error_of_the_conversion_is_raised(
    monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    monkeypatch.setattr(picture, "WORTH_A_THREAD", 0)

    def fail(frame: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(picture, "to_rgb", fail)

    def draw() -> None:
        with closing(Pictures(2, 4, 4, beside=beside)) as pictures:
            pictures.put(0, object())
            pictures.put(1, object())
            pictures.finish()

    with pytest.raises(ValueError, match="no"):
        draw()
