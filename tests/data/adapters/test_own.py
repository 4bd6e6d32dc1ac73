"""Own data: what the columns' options do, and what they refuse; the real fights table."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from mtrans.core.errors import DatasetError, SettingsError
from mtrans.core.records import Sample
from mtrans.data.adapters import ADAPTERS

FIGHTS = {
    "video": "file",
    "answer": "label",
    "names": "fight=yes,noFight=no",
    "ask": "Is there a fight?",
    "group": "source",
    "facts": "codec,width,height,fps,dur_s,n_audio",
}


def read(table: Path, scheme: str = "given", **options: str) -> list[Sample]:
    adapter = ADAPTERS.get("csv")
    return list(adapter.read(table, None, adapter.request(scheme, options)).samples)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("video,question,answer,split\n1.mp4,who?,mia,dev\n2.mp4,who?,tom,\n")
    return path


def test_defaults(table: Path) -> None:
    first, second = read(table, part="split")
    assert first.choices == second.choices == ("mia", "tom")
    assert (first.label, first.split, second.split) == (0, "val", "train")
    assert first.video == str(table.parent / "1.mp4")
    assert not Path(first.video).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"group": "cam"}, "no column 'cam' for option group"),
        ({"video": "vidoe"}, "did you mean 'video'"),
        ({"answer": "label"}, "say --option answer= for none"),
        ({"question": "ask"}, "--option 'ask=What is shown?'"),
        ({"facts": "answer,fps"}, "no column 'fps' for option facts"),
        ({"names": "mia"}, "wanted old=new"),
        ({"delimiter": "tab"}, "one column only"),
    ],
)
def test_wrong_options(options: dict[str, str], words: str, table: Path) -> None:
    with pytest.raises(SettingsError) as error:
        read(table, **options)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"candidates": "mia|ann"}, "row 2: answer: 'tom' is not among choices"),
        ({"start": "answer"}, "row 1: answer is 'mia'; wanted a number"),
        ({"choices": "answer"}, "row 1: answer holds no list"),
    ],
)
def test_wrong_rows(options: dict[str, str], words: str, table: Path) -> None:
    with pytest.raises(DatasetError) as error:
        read(table, **options)
    assert words in str(error.value)


def test_many_answers_are_open(tmp_path: Path) -> None:
    for count, choices in ((20, 20), (21, None)):
        path = tmp_path / f"{count}.csv"
        rows = "".join(f"{i}.mp4,who?,p{i}\n" for i in range(count))
        path.write_text(f"video,question,answer\n{rows}")
        found = read(path)[0].choices
        assert (found and len(found)) == choices


def test_no_answers_and_no_videos_if_said(table: Path) -> None:
    sample = read(table, answer="", video="")[0]
    assert (sample.answer, sample.choices, sample.video) == (None, None, None)


def test_fights(shared_data: Path) -> None:
    samples = read(shared_data / "fights" / "index.csv", "folds", by="group", **FIGHTS)
    assert Counter(s.answer for s in samples) == {"yes": 111, "no": 126}
    assert all(Path(s.video or "").is_file() for s in samples)
    split_of = {s.group: s.split for s in samples}
    assert all(s.split == split_of[s.group] for s in samples), "a source stands in two folds"
    sizes = Counter(s.split for s in samples)
    assert len(sizes) == 5
    assert set(samples[0].facts) == {"codec", "width", "height", "fps", "dur_s", "n_audio"}
    assert isinstance(samples[0].facts["fps"], float)


def test_folder_of_one_class_or_other_names(tmp_path: Path) -> None:
    adapter = ADAPTERS.get("folder")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.mp4").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"there is no folder '.*nowhere'"):
        adapter.read(tmp_path / "nowhere", None, adapter.request())
    with pytest.raises(DatasetError, match="one class only, 'run'"):
        adapter.read(tmp_path, None, adapter.request())
    (tmp_path / "sit").mkdir()
    (tmp_path / "sit" / "b.mp4").write_bytes(b"")
    for group, words in (("^(x)", "does not match"), ("^a", "no \\("), ("(", "not a pattern")):
        with pytest.raises(SettingsError, match=words):
            adapter.read(tmp_path, None, adapter.request(options={"group": group}))


def test_what_prepare_wrote_is_read_once(tmp_path: Path) -> None:
    adapter = ADAPTERS.get("jsonl")
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"id": "1", "question": "q", "answer": "x"}\n')
    with pytest.raises(DatasetError, match=r"the id '1' is in 'a\.jsonl' and in 'b\.jsonl'"):
        adapter.read(tmp_path, None, adapter.request())
    (tmp_path / "a.jsonl").rename(tmp_path / "all.jsonl")
    (tmp_path / "prepared.json").write_text("{}")
    read = adapter.read(tmp_path, None, adapter.request())
    assert [s.id for s in read.samples] == ["1"]
    assert read.files == [tmp_path / "all.jsonl"]


def test_hf_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    adapter = ADAPTERS.get("hf")
    with pytest.raises(DatasetError, match=r"not installed; pip install 'mtrans\[hf\]'"):
        adapter.read(tmp_path, None, adapter.request())


def test_hf_videos_with_and_without_their_paths(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra [hf]")
    pyarrow = pytest.importorskip("pyarrow", reason="comes with datasets")
    datasets.disable_progress_bars()
    adapter = ADAPTERS.get("hf")
    request = adapter.request(options={"ask": "Who?", "answer": ""})
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_bytes(b"film")
    for path in ("a.mp4", None):
        out = tmp_path / f"saved-{path}"
        features = datasets.Features(video=datasets.Video())
        # as a table: `from_dict` wants a torchcodec that finds FFmpeg, reading does not
        held = pyarrow.array([{"path": path, "bytes": b"film"}], features["video"].pa_type)
        table = pyarrow.table({"video": held})
        info = datasets.DatasetInfo(features=features)
        datasets.Dataset(table, info=info).save_to_disk(str(out))
        if path:
            sample = adapter.read(out, tmp_path / "clips", request).samples[0]
            assert sample.video == str(tmp_path / "clips" / "a.mp4")
        else:
            with pytest.raises(DatasetError, match="row 1: video holds a file's bytes"):
                adapter.read(out, tmp_path / "clips", request)
