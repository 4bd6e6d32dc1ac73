"""`mtrans worlds` and `mtrans data`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.data.manifest import read_manifest
from mtrans.video.decode import probe

from .conftest import Command, one_line_error


@pytest.fixture(scope="module")
def world(mtrans: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "physics"
    words = ["--train", 3, "--test", 2, "--seed", 5, "--size", 32, "--workers", 1]
    done = mtrans("worlds", "make", "physics", "--out", folder, *words)
    assert done.status == 0, done.err
    assert "train" in done.out
    assert "Synthetic" in done.err
    return folder


def test_worlds_make_writes_clips_and_manifests(world: Path) -> None:
    train, test = (read_manifest(world / f"{s}.jsonl") for s in ("train", "test"))
    assert len({s.video for s in train}) == 3
    assert len({s.video for s in test}) == 2
    info = probe(train[0].video or "")
    assert (info.width, info.height, info.codec) == (32, 32, "h264")
    assert not (world / "val.jsonl").exists()


def test_worlds_list_names_all_four(mtrans: Command) -> None:
    done = mtrans("worlds", "list")
    assert done.status == 0
    for name in ("physics", "talk", "ego", "kitchen"):
        assert f"  {name} " in done.out


def test_worlds_make_wrong(mtrans: Command, world: Path, tmp_path: Path) -> None:
    one_line_error(
        mtrans("worlds", "make", "phisics", "--out", tmp_path, "--train", 1),
        "unknown world 'phisics'",
        "did you mean 'physics'",
    )
    one_line_error(mtrans("worlds", "make", "physics", "--out", tmp_path), "--train")
    again = mtrans("worlds", "make", "physics", "--out", world, "--train", 1, "--seed", 6)
    one_line_error(again, "seed=5", "asked for: 6")
    assert not any(tmp_path.iterdir())


def test_check_of_a_good_manifest(mtrans: Command, world: Path) -> None:
    done = mtrans("data", "check", world / "train.jsonl", "--frames", 4)
    assert done.status == 0
    n = len(read_manifest(world / "train.jsonl"))
    assert f"{n} samples" in done.out
    assert "3 videos, 3 clips, 9 s" in done.out
    assert "object_existence" in done.out


def test_check_lists_every_problem(mtrans: Command, small: Path, tmp_path: Path) -> None:
    clip = str(small / "clips" / "0.mp4")
    (tmp_path / "cut.mp4").write_bytes(Path(clip).read_bytes()[:400])
    lines: list[dict[str, object]] = [
        {"id": "a", "video": clip, "question": "q", "answer": "x"},
        {"id": "b", "video": clip, "question": 3},
        {"id": "c", "video": "cut.mp4", "question": "q", "answer": "x"},
        {"id": "d", "video": "gone.mp4", "question": "q", "answer": "x"},
        {"id": "e", "video": clip, "question": "q?", "choices": ["x", "y"], "label": 2},
    ]
    file = tmp_path / "bad.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = mtrans("data", "check", file)
    assert done.status == 1
    found = done.out.splitlines()
    for number, field in ((2, "question"), (3, "video"), (4, "video"), (5, "label")):
        assert any(line.startswith(f"error: {file}:{number}: {field}: ") for line in found), found
    assert len(found) == 4
    assert done.err.startswith("4 errors")
    as_json = mtrans("data", "check", file, "--json")
    assert as_json.status == 1
    assert [p["line"] for p in json.loads(as_json.out)["problems"]] == [2, 3, 4, 5]
    assert mtrans("data", "check", file, "--no-videos").err.startswith("2 errors")


def test_check_of_work_on_text(mtrans: Command, tmp_path: Path) -> None:
    """Clips that are not there, as `prepare --allow-missing-videos` leaves them, are one line."""
    lines = [{"id": str(i), "video": f"{i}.mp4", "question": "q", "answer": "x"} for i in range(9)]
    file = tmp_path / "all.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = mtrans("data", "check", file)
    assert done.status == 1
    (said,) = done.out.splitlines()
    assert said.startswith(f"error: {file}: video: 9 of 9 files are not there (9 samples), e.g. '")
    assert "--no-videos" in said
    assert done.err.startswith("1 error in ")
    assert "; 0 of 9 samples can be used" in done.err
    found = json.loads(mtrans("data", "check", file, "--json").out)
    assert found["missing"][str(tmp_path / "8.mp4")] == [9]
    done = mtrans("data", "check", file, "--no-videos")
    assert done.status == 0, done.err
    assert "9 videos, 9 clips, not opened;" in done.out


def test_check_of_no_file(mtrans: Command, tmp_path: Path) -> None:
    one_line_error(mtrans("data", "check", tmp_path / "none.jsonl"), "none.jsonl", "No such file")


@pytest.mark.parametrize(("form", "key"), [("messages", "messages"), ("sharegpt", "conversations")])
def test_convert_there_and_back(
    mtrans: Command, small: Path, tmp_path: Path, form: str, key: str
) -> None:
    messages, back = tmp_path / "messages.jsonl", tmp_path / "back.jsonl"
    first = mtrans("data", "convert", small / "train.jsonl", "--out", messages, "--to", form)
    assert first.status == 0, first.err
    assert key in json.loads(messages.read_text().splitlines()[0])
    assert mtrans("data", "convert", messages, "--out", back).status == 0
    assert read_manifest(back) == read_manifest(small / "train.jsonl")
    one_line_error(mtrans("data", "convert", messages, "--out", back), "exists already")


def test_check_holds_splits_against_each_other(mtrans: Command, tmp_path: Path) -> None:
    line = {"question": "q", "answer": "a", "speaker": "ann"}
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": name, **line}) + "\n")
    files = [tmp_path / "train.jsonl", tmp_path / "test.jsonl"]
    done = mtrans("data", "check", *files)
    assert done.status == 0, done.err
    assert "warning: speaker: 1 of 1 speakers is in several splits: 'ann' (train, test)" in (
        done.out
    )
    one_line_error(mtrans("data", "check", *files, "--strict"), "'ann'")
    both = json.loads(mtrans("data", "check", *files, "--json").out)
    assert [leak["kind"] for leak in both["leaks"]] == ["speaker"]
    assert len(both["files"]) == 2
