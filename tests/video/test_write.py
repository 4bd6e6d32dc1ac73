"""What write_video writes is what was given: frames, times, sound, and the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mtrans.core.errors import VideoError
from mtrans.video.write import write_video


def moving_square(count: int = 12, height: int = 48, width: int = 64) -> list[np.ndarray]:
    frames = []
    for index in range(count):
        frame = np.full((height, width, 3), 40, np.uint8)
        frame[8:24, 2 * index : 2 * index + 16] = (200, 60, 30)
        frames.append(frame)
    return frames


def decode_all(path: Path) -> tuple[np.ndarray, list[float]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return np.stack([f.to_ndarray(format="rgb24") for f in frames]), [float(f.time) for f in frames]


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


@pytest.mark.parametrize("fps", [1.0, 7.5, 25.0, 30000 / 1001, 29.97, 120.0, 0.5])
def test_frames_and_times_come_back(tmp_path: Path, fps: float) -> None:
    frames = moving_square()
    write_video(tmp_path / "a.mp4", frames, fps)
    pixels, times = decode_all(tmp_path / "a.mp4")
    assert pixels.shape == (12, 48, 64, 3)
    distance = np.abs(pixels[:, None].astype(int) - np.stack(frames)[None]).mean(axis=(2, 3, 4))
    assert distance.argmin(axis=1).tolist() == list(range(12))
    assert distance.diagonal().max() < 2.0  # of 255: limited range and half-size chroma
    np.testing.assert_allclose(times, np.arange(12) / fps, rtol=1e-6, atol=1e-9)


def test_colours_survive(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (128, 128, 128), (0, 0, 0)]
    frames = [np.full((32, 32, 3), colour, np.uint8) for colour in colours]
    write_video(tmp_path / "a.mp4", frames, 10)
    pixels, _ = decode_all(tmp_path / "a.mp4")
    assert np.abs(pixels.astype(int) - np.stack(frames)).max() <= 6


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, moving_square(), 12.5, tone(0.96, 16000))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    write_video(tmp_path / "b.mp4", moving_square(), 12.5, tone(0.96, 16000, hertz=500))
    assert (tmp_path / "a.mp4").read_bytes() != (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("rate", [16000, 44100])
def test_sound_comes_back_in_place(tmp_path: Path, rate: int) -> None:
    sound = tone(0.96, rate)
    write_video(tmp_path / "a.mp4", iter(moving_square()), 12.5, sound, rate)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]
        heard = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert np.abs(heard[: len(sound)] - sound).mean() < 0.01
    assert len(decode_all(tmp_path / "a.mp4")[0]) == 12


def test_one_frame(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_square(1), 25)
    assert decode_all(tmp_path / "a.mp4")[1] == [0.0]


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    def broken():
        yield moving_square(1)[0]
        raise RuntimeError("the world broke")

    with pytest.raises(RuntimeError, match="the world broke"):
        write_video(tmp_path / "a.mp4", broken(), 25)
    assert list(tmp_path.iterdir()) == []


BAD = {
    "no frames": ([], {}, "no frames"),
    "odd": ([np.zeros((33, 32, 3), np.uint8)], {}, "32x33.*even"),
    "float": ([np.zeros((32, 32, 3), np.float32)], {}, r"frame 0 is float32\[32, 32, 3\]"),
    "grey": ([np.zeros((32, 32), np.uint8)], {}, "frame 0"),
    "size": (
        [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)],
        {},
        "frame 1 is 34x32",
    ),
    "fps": (moving_square(1), {"fps": 0.0}, "fps=0.0"),
    "nan fps": (moving_square(1), {"fps": float("nan")}, "fps=nan"),
    "audio rate": (moving_square(1), {"audio": tone(1, 16000), "sample_rate": 12345}, "12345"),
    "audio shape": (moving_square(1), {"audio": np.zeros((2, 9), np.float32)}, "audio is float32"),
    "audio nan": (moving_square(1), {"audio": np.full(9, np.nan, np.float32)}, "finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(tmp_path: Path, case: str) -> None:
    frames, extra, words = BAD[case]
    with pytest.raises(VideoError, match=words) as caught:
        write_video(tmp_path / "a.mp4", frames, **{"fps": 25.0, **extra})
    assert "\n" not in str(caught.value)
    assert "a.mp4" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="check the folder"):
        write_video(tmp_path / "none" / "a.mp4", moving_square(1), 25)
