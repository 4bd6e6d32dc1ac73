"""What is left out changes no frame that was wanted, and something is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtrans.video.decode import VideoReader, read_frames
from mtrans.video.decoder import Decoder
from mtrans.video.keyframes import Keyframes
from video.numbered import encode, number

STRUCTURES = {
    "plain": {"g": "30"},
    "pyramid": {"g": "48", "bf": "5", "x264-params": "b-pyramid=normal:b-adapt=0"},
    "no pyramid": {"g": "40", "bf": "3", "x264-params": "b-pyramid=none:b-adapt=0"},
    "open": {"g": "25", "bf": "4", "x264-params": "open-gop=1:b-adapt=0"},
    "forward only": {"g": "250", "bf": "0", "refs": "4"},
}


@pytest.fixture
def no_second_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes falling back to decoding everything an error."""

    def refuse(reader: VideoReader) -> None:
        raise AssertionError("read again without a plan")

    monkeypatch.setattr(VideoReader, "_reopen", refuse)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("form", ["mp4", "matroska"])
@pytest.mark.usefixtures("no_second_reading")
def test_right_frames_for_any_structure(tmp_path: Path, structure: str, form: str) -> None:
    path = tmp_path / "a.vid"
    rng = np.random.default_rng(len(structure))
    stamps = (1000 + np.cumsum(rng.integers(20, 60, 150))).tolist()
    encode(str(path), stamps, form=form, options={**STRUCTURES[structure], "threads": "1"})
    shown = (np.asarray(stamps) - stamps[0]) / 1000
    for count in (1, 3, 40):
        expected = rng.integers(0, len(shown), count)
        # its own time, or one before the next frame's, which is 20 ms later at least
        wanted = shown[expected] + rng.choice([0.0, 0.005, 0.018], count)
        got = read_frames(path, wanted)
        assert [number(frame) for frame in got.pixels] == expected.tolist()
        np.testing.assert_allclose(got.times, shown[expected], atol=1e-6)


def test_unwanted_frames_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    options = {"g": "250", "bf": "3", "x264-params": "b-adapt=0:scenecut=0"}
    encode(str(path), [40 * i for i in range(200)], options=options)
    came_out: list[object] = []
    timed = Decoder._timed
    monkeypatch.setattr(Decoder, "_timed", lambda d, f: (came_out.append(f), timed(d, f))[1])
    got = read_frames(path, [4.0])
    assert number(got.pixels[0]) == 100
    assert 30 < len(came_out) < 70  # of 101: what others refer to, and the wanted one
    came_out.clear()
    assert [number(f) for f in read_frames(path, [1.0, 2.0, 3.96]).pixels] == [25, 50, 99]
    assert len(came_out) < 70


def test_a_broken_promise_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    encode(str(path), [40 * i for i in range(60)], options={"g": "30", "bf": "3"})
    monkeypatch.setattr(Decoder, "expected", lambda decoder, limit: -1)
    again: list[VideoReader] = []
    reopen = VideoReader._reopen
    monkeypatch.setattr(VideoReader, "_reopen", lambda r: (again.append(r), reopen(r))[1])
    got = read_frames(path, [2.2, 0.5])
    assert [number(frame) for frame in got.pixels] == [55, 12]
    assert len(again) == 1


def test_reading_twice_misses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(str(path), [40 * i for i in range(100)], options={"g": "50", "bf": "3"})
    with VideoReader(path) as video:
        for index in (10, 11, 12, 47, 3, 99, 98):
            got = video.read([0.04 * index])
            assert number(got.pixels[0]) == index


@pytest.mark.parametrize(("form", "listed"), [("mp4", True), ("matroska", True), ("avi", False)])
def test_keyframes_are_found_where_they_are_listed(tmp_path: Path, form: str, listed: bool) -> None:
    path = tmp_path / "a.vid"
    options = {"g": "20", "bf": "2", "sc_threshold": "0"}
    encode(str(path), [40 * i for i in range(100)], form=form, options=options)
    decoder = Decoder(path)
    keys = Keyframes(path, decoder.container, decoder.stream, decoder.zero)
    found = [keys.before(time) for time in (0.0, 0.79, 0.81, 3.3)]
    if listed:
        assert [round(key.time, 3) for key in found if key] == [0.0, 0.0, 0.8, 3.2]
    else:
        assert found == [None] * 4
    keys.close()
    assert keys.before(1.0) is None
    decoder.close()
