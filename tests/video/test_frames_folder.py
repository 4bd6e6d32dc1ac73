"""A folder of numbered pictures is a clip like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtrans.core.errors import VideoError
from mtrans.core.settings import FrameSettings
from mtrans.video.clip import load_clip
from mtrans.video.decode import probe, read_frames


def save(path: Path, level: int, size: tuple[int, int] = (32, 24)) -> None:
    Image.new("RGB", size, (level, level, level)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 pictures, 1.png to 12.png, that grow brighter by 10; by name 10.png comes before 2.png."""
    made = tmp_path / "castle_s01e01_seg02_clip_00"
    made.mkdir()
    for number in range(1, 13):
        save(made / f"{number}.png", 10 * number)
    return made


def levels(pixels: np.ndarray) -> list[int]:
    return [round(float(image.mean()) / 10) for image in pixels]


def test_facts(folder: Path) -> None:
    info = probe(folder)
    assert (info.width, info.height, info.frames) == (32, 24, 12)
    assert (info.fps, info.duration) == (3.0, 4.0)
    assert not info.has_audio


def test_whole_clip(folder: Path) -> None:
    got = load_clip(folder, FrameSettings(count=4))
    assert got.pixels.dtype == np.uint8
    assert got.pixels.shape == (4, 24, 32, 3)
    assert levels(got.pixels) == [2, 5, 8, 11]
    np.testing.assert_allclose(got.times, np.array([1, 4, 7, 10]) / 3)


def test_window(folder: Path) -> None:
    assert levels(load_clip(folder, FrameSettings(count=3), 1.0, 2.0).pixels) == [4, 5, 6]
    assert levels(load_clip(folder, FrameSettings(count=1), 3.0, 99.0).pixels) == [11]
    every = FrameSettings(count=32, sampling="fps", fps=3)
    assert levels(load_clip(folder, every).pixels) == list(range(1, 13))
    with pytest.raises(VideoError, match=r"starts at 7 s, but the video lasts 4 s"):
        load_clip(folder, every, 7.0, 8.0)


def test_times_in_any_order_and_outside(folder: Path) -> None:
    got = read_frames(folder, [3.5, 0.0, 100.0, -1.0, 0.34, 0.34])
    assert levels(got.pixels) == [11, 1, 12, 1, 2, 2]


def test_the_folder_may_say_how_fast(folder: Path) -> None:
    (folder / "fps.txt").write_text("6\n")
    assert probe(folder).duration == 2.0
    assert levels(load_clip(folder, FrameSettings(count=1), 1.0, 1.1).pixels) == [7]


@pytest.mark.parametrize("text", ["", "fast", "0", "-3", "nan", "inf"])
def test_a_senseless_rate(folder: Path, text: str) -> None:
    (folder / "fps.txt").write_text(text)
    with pytest.raises(VideoError, match=r"fps\.txt: wanted one number above 0"):
        probe(folder)


def test_names_and_other_files(tmp_path: Path) -> None:
    for place, level in (("clip7_frame010.JPG", 10), ("clip7_frame020.jpeg", 20)):
        save(tmp_path / place, level)
    (tmp_path / "readme.txt").write_text("not a picture")
    (tmp_path / ".00003.jpg").write_bytes(b"hidden")
    (tmp_path / "more.jpg").mkdir()
    assert levels(load_clip(tmp_path, FrameSettings(count=2)).pixels) == [1, 2]


def test_grey_and_turned_pictures(tmp_path: Path) -> None:
    wide = Image.new("L", (8, 4), 70)
    turned = wide.getexif()
    turned[0x0112] = 6  # shown turned by 90 degrees
    wide.save(tmp_path / "1.jpg", exif=turned)
    got = load_clip(tmp_path, FrameSettings(count=1))
    assert got.pixels.shape == (1, 8, 4, 3)
    assert levels(got.pixels) == [7]


def bad(folder: Path) -> str:
    with pytest.raises(VideoError) as error:
        load_clip(folder, FrameSettings(count=12))
    text = str(error.value)
    assert "\n" not in text
    assert str(folder) in text
    return text


def test_bad_folders(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "a folder without pictures; wanted .jpg" in bad(empty)
    assert "no such file" in bad(tmp_path / "nowhere")
    save(folder / "007.png", 1)
    assert "'007.png' and '7.png' have the same number" in bad(folder)
    (folder / "007.png").unlink()
    (folder / "7.png").unlink()
    assert "pictures are missing between '6.png' and '8.png'" in bad(folder)
    save(folder / "7.png", 7, (16, 16))
    assert "7.png: 16x16, but the first picture is 32x24" in bad(folder)
    (folder / "7.png").write_bytes((folder / "6.png").read_bytes()[:60])
    assert "7.png: not a readable picture" in bad(folder)
    (folder / "7.png").write_bytes(b"<html>")
    assert "7.png: not a readable picture" in bad(folder)
    save(folder / "cover.png", 1)
    assert "cover.png: no number in its name" in bad(folder)
