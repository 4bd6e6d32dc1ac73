"""Readers are compared on the same frames, and what is missing or wrong is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtrans.app.bench_decode import show_decode
from mtrans.bench.clips import bench_clips
from mtrans.bench.decode import Bench, bench_decode
from mtrans.bench.decode_clips import clip_sets
from mtrans.bench.decode_readers import OURS, READERS, Got, Wanted
from mtrans.bench.decode_truth import judge, truth
from mtrans.bench.decode_worker import ReaderError, Worker
from mtrans.core.errors import VideoError

PYAV = "PyAV, all frames"


@pytest.fixture
def clip(tmp_path: Path) -> str:
    (sample,) = bench_clips(tmp_path, 1, seconds=1.0)
    return str(sample.video)


@pytest.mark.parametrize("name", [OURS, PYAV])
def test_readers_return_the_wanted_frames(clip: str, name: str) -> None:
    right = truth(clip, 5)
    assert right.wanted.numbers == [2, 7, 12, 17, 22]
    verdict = judge(right, READERS[name]()(right.wanted))
    assert verdict.frames == 5
    assert verdict.others == 0
    assert verdict.late == pytest.approx(0, abs=1e-3)
    # PyAV's own conversion takes the nearest of the halved colours; the drawn ground is coloured
    assert verdict.difference == 0 if name == OURS else 0 < verdict.difference < 8


def test_a_frame_too_late_is_noticed(clip: str) -> None:
    right = truth(clip, 4)
    numbers = [number + 1 for number in right.wanted.numbers]
    verdict = judge(right, READERS[PYAV]()(Wanted(clip, 4, numbers)))
    assert verdict.others == 4
    assert verdict.late == pytest.approx(1, abs=1e-3)
    assert verdict.difference > judge(right, READERS[PYAV]()(right.wanted)).difference + 1


def test_a_frame_wanted_twice_comes_twice(clip: str) -> None:
    got = READERS[PYAV]()(Wanted(clip, 3, [4, 4, 9]))
    assert got.pixels.shape[0] == 3
    assert np.array_equal(got.pixels[0], got.pixels[1])


def test_missing_times_and_frames_are_no_success(clip: str) -> None:
    right = truth(clip, 2)
    none = judge(right, Got(np.zeros((1, 2, 2, 3), np.uint8), np.zeros(0)))
    assert (none.others, none.late) == (2, None)


def test_a_worker_says_why_it_has_no_reader() -> None:
    with pytest.raises(ReaderError, match="KeyError: 'no such reader'"):
        Worker("no such reader")


def test_benchmark_of_two_readers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = bench_decode(
        tmp_path,
        counts=(2,),
        clips=1,
        seconds=0.4,
        minutes=0.01,
        rounds=2,
        readers=(OURS, PYAV, "no such reader"),
    )
    assert [(case.files, case.count, case.frames) for case in found.cases] == [
        ("drawn, 0.4 s", 2, 2),
        ("drawn, 0.01 min", 2, 2),
    ]
    for case in found.cases:
        assert set(case.readers) == {OURS, PYAV}
        assert all(len(t.seconds) == 2 and t.peak_mb > 0 for t in case.readers.values())
        assert case.best is not None
        assert (case.best.slow, case.best.fast) == (OURS, PYAV)
    written = json.loads((tmp_path / "decode.json").read_text())
    assert list(written["missing"]) == ["no such reader"]
    assert written["verdicts"]["drawn, 0.4 s"][OURS]["others"] == 0
    show_decode(found)
    lines = capsys.readouterr().out.strip().splitlines()
    assert any(line.startswith("not measured: no such reader (KeyError") for line in lines)
    assert lines[-1].startswith(f"longest against the best peer: {OURS} / {PYAV}: ")


def test_a_file_that_nobody_reads_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Bench(left_out={"a": {"b.avi": {PYAV: f"{PYAV}: ValueError: no"}}})
    show_decode(found)
    out = capsys.readouterr().out
    assert f"not read: a/b.avi by {PYAV} (ValueError: no)" in out
    assert out.strip().endswith("no peer was measured")


def test_folders_of_videos_are_thinned_evenly(tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    for i in range(9):
        (folder / f"{i}.mp4").touch()
    (folder / "notes.txt").touch()
    first = clip_sets(tmp_path, [folder], clips=3, seconds=0.2, minutes=0.002)[0]
    assert [Path(p).name for p in first.paths] == ["0.mp4", "4.mp4", "8.mp4"]
    with pytest.raises(VideoError, match="no videos in this folder"):
        clip_sets(tmp_path, [tmp_path / "nothing"], clips=3, seconds=0.2, minutes=0.002)


def test_folders_of_one_name_keep_apart(tmp_path: Path) -> None:
    folders = [tmp_path / "a/clips", tmp_path / "b/clips", tmp_path / "others"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "0.mp4").touch()
    sets = clip_sets(tmp_path, folders, clips=1, seconds=0.2, minutes=0.002)
    assert [s.name for s in sets[:3]] == [str(folders[0]), str(folders[1]), "others"]
