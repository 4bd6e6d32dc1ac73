"""CLEVRER: the excerpt that comes with CLEVRER-Humans."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from cases import FIXTURES, cases
from real_files import answers, read

from mtrans.core.errors import DatasetError
from mtrans.data.adapters import ADAPTERS
from mtrans.data.prepare import prepare


def test_excerpt(real: Path) -> None:
    samples = read("clevrer", real / "clevrer", "humans")
    assert answers(samples) == {
        "train": {"yes": 1132, "no": 1124},
        "val": {"yes": 1115, "no": 1141},
    }
    assert {s.type for s in samples} == {"explanatory"}
    videos = {split: {s.video for s in samples if s.split == split} for split in ("train", "val")}
    assert [len(v) for v in videos.values()] == [564, 564]
    assert not videos["train"] & videos["val"]
    assert "video_train/video_08000-09000/video_08995.mp4" in videos["train"]
    assert "video_validation/video_14000-15000/video_14760.mp4" in videos["val"]  # key 4760
    questions = Counter(s.facts["question_id"] for s in samples)
    assert len(questions) == 1128
    assert set(questions.values()) == {4}


def test_one_in_a_hundred_videos(real: Path, tmp_path: Path) -> None:
    def made(fraction: float, seed: int = 0) -> set[str]:
        out = tmp_path / f"{fraction}-{seed}"
        prepare(
            "clevrer",
            annotations=real / "clevrer",
            videos=None,
            out=out,
            scheme="humans",
            fraction=fraction,
            seed=seed,
            missing_videos="keep",
        )
        lines = (out / "train.jsonl").read_text().splitlines()
        assert len((out / "val.jsonl").read_text().splitlines()) == 2256
        assert len(lines) == 4 * len({json.loads(line)["video"] for line in lines})
        return {json.loads(line)["video"] for line in lines}

    small = made(0.01)
    assert len(small) == 6
    assert small < made(0.05)
    assert small != made(0.01, seed=1)


def test_half_the_videos_are_refused(tmp_path: Path) -> None:
    case = next(c for c in cases("clevrer") if c.scheme == "official")
    annotations, _ = case.lay_out(tmp_path)
    with pytest.raises(DatasetError, match=r"1 videos in train\.json, 10000 are published"):
        case.read(annotations, None, allow_partial=False)


def test_a_training_option_needs_its_answer(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    text = (FIXTURES / "clevrer" / "annotations" / "train.json").read_text(encoding="utf-8")
    file.write_text(text.replace('"wrong"', '"maybe"'))
    adapter = ADAPTERS.get("clevrer")
    with pytest.raises(DatasetError, match=r"an option's answer is 'maybe'; wanted correct"):
        adapter.read(tmp_path, None, adapter.request(allow_partial=True))
