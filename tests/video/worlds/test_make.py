"""Folders of clips: right, reproducible, resumable, never mixed."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.video.decode import probe
from mtrans.video.worlds import make
from mtrans.video.worlds.make import WORLDS, balance, make_world


def lines(folder, split):
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", list(WORLDS))
def test_every_world_writes_videos_and_manifests(name, tmp_path):
    seen = []
    counts = {"train": 2, "test": 1}
    totals = make_world(name, tmp_path, counts, progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert not (tmp_path / "val.jsonl").exists()
    for split, n in counts.items():
        rows = lines(tmp_path, split)
        assert len(rows) == totals[split]
        assert {r["video"] for r in rows} == {f"videos/{split}_{i:05d}.mp4" for i in range(n)}
        assert len({r["id"] for r in rows}) == len(rows)
        for row in rows:
            assert row["split"] == split
            assert row["type"]
            assert row["facts"]["world"] == name
            assert {"objects", "seconds", "speed", "occlusion"} <= set(row["facts"])
            if "choices" in row:
                assert row["choices"][row["label"]] == row["answer"]
            info = probe(tmp_path / row["video"])
            assert (info.width, info.height, info.codec) == (64, 64, "h264")
            assert info.duration == pytest.approx(row["facts"]["seconds"], abs=0.05)
    readme = (tmp_path / "README.md").read_text()
    assert "synthetic test bench" in readme
    assert "seed 0" in readme


def test_the_same_spec_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        make_world("physics", tmp_path / name, {"train": 2, "test": 1}, 7, size=32)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    make_world("physics", tmp_path / "c", {"train": 2, "test": 1}, 8, size=32)
    assert (
        contents(tmp_path / "c")["train_00000.mp4"] != contents(tmp_path / "a")["train_00000.mp4"]
    )


def test_two_processes_write_what_one_writes(tmp_path):
    make_world("physics", tmp_path / "one", {"test": 3}, size=32)
    make_world("physics", tmp_path / "two", {"test": 3}, size=32, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_splits_do_not_depend_on_each_other_and_larger_sets_hold_smaller_ones(tmp_path):
    make_world("physics", tmp_path / "a", {"train": 1, "test": 2}, size=32)
    make_world("physics", tmp_path / "b", {"train": 3, "test": 2}, size=32)
    assert lines(tmp_path / "a", "test") == lines(tmp_path / "b", "test")
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert a["train_00000.mp4"] == b["train_00000.mp4"]
    assert b["train_00000.mp4"] != b["test_00000.mp4"]


def test_it_goes_on_where_it_stopped(tmp_path, monkeypatch):
    make_world("physics", tmp_path, {"train": 3}, size=32)
    before = contents(tmp_path)
    (tmp_path / "videos" / "train_00001.mp4").unlink()
    (tmp_path / "train.jsonl").unlink()
    written, real = [], make.write_video
    monkeypatch.setattr(make, "write_video", lambda p, *a: (written.append(p.name), real(p, *a)))
    make_world("physics", tmp_path, {"train": 3}, size=32)
    assert written == ["train_00001.mp4"]
    assert contents(tmp_path) == before


def test_other_specs_are_refused(tmp_path):
    make_world("physics", tmp_path, {"train": 1}, 0, size=32)
    with pytest.raises(SettingsError, match=r"seed=0 \(asked for: 1\)"):
        make_world("physics", tmp_path, {"train": 1}, 1, size=32)
    with pytest.raises(SettingsError, match="world=physics"):
        make_world("ego", tmp_path, {"train": 1}, 0, size=32)
    foreign = tmp_path / "foreign"
    (foreign / "videos").mkdir(parents=True)
    (foreign / "videos" / "mine.mp4").write_bytes(b"")
    with pytest.raises(SettingsError, match="empty folder"):
        make_world("physics", foreign, {"train": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "phisics"}, "did you mean 'physics'"),
        ({"counts": {"trian": 1}}, "unknown split 'trian'"),
        ({"counts": {"train": -1}}, "wanted 0 or more"),
        ({"size": 63}, "even number"),
        ({"fps": 0.0}, "above 0"),
    ],
)
def test_bad_settings_fail_before_anything_is_written(change, message, tmp_path):
    settings = {"name": "physics", "out": tmp_path / "out", "counts": {"train": 1}} | change
    with pytest.raises(SettingsError, match=message):
        make_world(**settings)
    assert not (tmp_path / "out").exists()


def test_answers_are_balanced_and_every_clip_keeps_a_question():
    def sample(i, kind, answer):
        choices = ("yes", "no")
        label = choices.index(answer)
        return Sample(f"{kind}{i}", "v", "q", answer, choices, label, type=kind)

    clips = [
        [sample(i, "a", "yes" if i % 5 else "no"), sample(i, "b", "yes" if i % 2 else "no")]
        for i in range(100)
    ]
    kept = balance(clips)
    counts = Counter((s.type, s.answer) for s in kept)
    assert counts == {("a", "no"): 20, ("a", "yes"): 21, ("b", "no"): 50, ("b", "yes"): 50}
    alone = [[sample(i, "a", "yes")] for i in range(9)] + [[sample(9, "a", "no")]]
    assert len(balance(alone)) == 10


@pytest.mark.parametrize("name", ["physics", "talk"])
def test_closed_questions_of_a_split_are_balanced(name):
    spec = make.Spec(name, 0)
    clips = [make.generate_clip(spec, "test", i) for i in range(100)]
    samples = [
        [Sample(f"{i}", None, q.text, q.answer, q.choices, q.label, type=q.type) for q in questions]
        for i, questions in enumerate(c.questions for c in clips)
    ]
    kept = balance(samples)
    for kind in {s.type for s in kept if s.choices}:
        of_kind = [s for s in kept if s.type == kind]
        if len({tuple(sorted(s.choices)) for s in of_kind}) == 1:
            counts = Counter(s.answer for s in of_kind)
            assert max(counts.values()) - min(counts.values()) <= 3, (kind, counts)
