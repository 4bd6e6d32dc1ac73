"""A data set's files to manifests: what is written, what is missing, what is refused."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "adapters"))

from cases import Case, cases

from mtrans.core.errors import DatasetError, SettingsError
from mtrans.data.manifest import read_manifest
from mtrans.data.prepare import prepare


@pytest.fixture
def mustard(tmp_path: Path) -> tuple[Path, Path]:
    """Annotations and all three clips of the fixture."""
    case: Case = cases("mustard")[0]
    return case.lay_out(tmp_path)


def run(folders: tuple[Path, Path], out: Path, **more):
    options = {"scheme": "mmla", "allow_partial": True, **more}
    return prepare("mustard", annotations=folders[0], videos=folders[1], out=out, **options)


def own(folder: Path, count: int = 40) -> Path:
    """Own samples, a quarter answered yes, ten in the test split."""
    folder.mkdir()
    lines = [
        {
            "id": f"s{i}",
            "video": f"{i}.mp4",
            "question": "does it roll?",
            "choices": ["yes", "no"],
            "answer": "yes" if i % 4 == 0 else "no",
            "split": "test" if i >= 30 else "train",
        }
        for i in range(count)
    ]
    for line in lines:
        (folder / str(line["video"])).write_bytes(b"")
    (folder / "mine.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return folder


def test_writes_a_manifest_for_each_split(mustard, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(mustard, out)
    found = sorted(p.name for p in out.iterdir())
    assert found == ["all.jsonl", "prepared.json", "test.jsonl", "train.jsonl", "val.jsonl"]
    assert [s.id for s in read_manifest(out / "val.jsonl")] == ["mustard-1_2"]
    assert {s.split for s in read_manifest(out / "all.jsonl")} == {"train", "val", "test"}
    assert all(Path(s.video or "").exists() for s in read_manifest(out / "all.jsonl"))
    assert not done.missing
    assert done.splits["train"].types["sarcasm"]["answers"] == {"yes": 1}


def test_record(mustard, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(mustard, out, seed=3)
    record = json.loads((out / "prepared.json").read_text())
    assert record == json.loads(json.dumps(done.record))
    assert (record["name"], record["scheme"], record["seed"]) == ("mustard", "mmla", 3)
    assert record["adapter_version"] == 1
    files = {f["file"]: f["sha256"] for f in record["annotations"]}
    name = "sarcasm_data.json"
    assert files[name] == hashlib.sha256((mustard[0] / name).read_bytes()).hexdigest()
    assert set(files) == {name, "alone/train.jsonl", "alone/dev.jsonl", "alone/test.jsonl"}
    assert record["splits"]["train"]["types"]["sarcasm"]["chance"] == 0.5
    assert "690 are published" in record["notes"][0]


def test_half_a_file_says_where_to_get_it(mustard, tmp_path: Path) -> None:
    file = mustard[0] / "sarcasm_data.json"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DatasetError, match=r"not whole JSON .*github\.com/soujanyaporia/MUStARD"):
        run(mustard, tmp_path / "out")


def test_missing_videos_are_refused_with_a_list(mustard, tmp_path: Path) -> None:
    out = tmp_path / "out"
    gone = mustard[1] / "utterances_final" / "1_2.mp4"
    gone.unlink()
    with pytest.raises(DatasetError, match="1 of 3 clips are not in") as error:
        run(mustard, out)
    assert str(gone) in str(error.value)
    assert "mmsd_raw_data.zip" in str(error.value)
    assert [p.name for p in out.iterdir()] == ["missing_videos.txt"]
    assert (out / "missing_videos.txt").read_text() == f"{gone}\tmustard-1_2\n"
    gone.write_bytes(b"")
    run(mustard, out)
    assert not (out / "missing_videos.txt").exists()


@pytest.mark.parametrize(("missing", "left"), [("keep", 3), ("drop", 2)])
def test_missing_videos_kept_or_dropped_as_asked(missing, left, mustard, tmp_path: Path) -> None:
    gone = mustard[1] / "utterances_final" / "1_1.mp4"
    gone.unlink()
    done = run(mustard, tmp_path / "out", missing_videos=missing)
    samples = read_manifest(tmp_path / "out" / "all.jsonl")
    assert len(samples) == left
    assert done.missing == {str(gone): ["mustard-1_1"]}
    assert done.dropped == 3 - left
    assert done.record["missing_videos"]["samples_left_out"] == 3 - left
    assert (tmp_path / "out" / "missing_videos.txt").exists()
    if missing == "keep":
        assert done.splits["train"].missing == 1
        assert samples[0].video == str(gone), "its name stays, to count clips by"


def test_all_missing_can_be_kept_but_not_dropped(mustard, tmp_path: Path) -> None:
    folders = (mustard[0], None)
    assert len(run(folders, tmp_path / "a", missing_videos="keep").missing) == 3
    with pytest.raises(DatasetError, match="none of 3 clips"):
        run(folders, tmp_path / "b", missing_videos="drop")
    with pytest.raises(DatasetError, match="no --videos given"):
        run(folders, tmp_path / "c")


def test_again_replaces_only_its_own_files(mustard, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(mustard, out)
    run(mustard, out, scheme="speaker")
    assert sorted(p.name for p in out.glob("*.jsonl")) == ["all.jsonl", "test.jsonl", "train.jsonl"]
    (out / "mine.jsonl").write_text("{}\n")
    with pytest.raises(DatasetError, match=r"'mine\.jsonl', not written here"):
        run(mustard, out)
    assert (out / "mine.jsonl").exists()


def test_wrong_request_leaves_what_is_there(mustard, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(mustard, out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    with pytest.raises(SettingsError, match="did you mean 'speaker'"):
        run(mustard, out, scheme="speakers")
    with pytest.raises(SettingsError, match="fraction"):
        run(mustard, out, fraction=2.0)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    with pytest.raises(SettingsError, match="unknown data set 'musterd'; did you mean 'mustard'"):
        prepare("musterd", annotations=mustard[0], videos=None, out=out)


def test_fractions_are_nested_and_leave_the_test_split_whole(tmp_path: Path) -> None:
    data = own(tmp_path / "data")
    parts = {}
    for share in (0.2, 0.5, 1.0):
        out = tmp_path / f"{share}"
        prepare("jsonl", annotations=data, videos=data, out=out, fraction=share, seed=1)
        parts[share] = {s.id for s in read_manifest(out / "train.jsonl")}
        assert len(read_manifest(out / "test.jsonl")) == 10
        assert len(parts[share]) == round(30 * share)
    assert parts[0.2] < parts[0.5] < parts[1.0]
    with pytest.raises(SettingsError, match="'folds' has none"):
        prepare(
            "jsonl", annotations=data, videos=data, out=tmp_path / "f", scheme="folds", fraction=0.5
        )


def test_own_folds(tmp_path: Path) -> None:
    data = own(tmp_path / "data")
    out = tmp_path / "out"
    done = prepare(
        "jsonl", annotations=data, videos=None, out=out, scheme="folds", options={"folds": "4"}
    )
    assert list(done.splits) == ["fold1", "fold2", "fold3", "fold4"]
    assert all(split.samples == 10 for split in done.splits.values())
    assert done.record["folds"] is True
