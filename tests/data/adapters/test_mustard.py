"""MUStARD's official files: folds, MUStARD*, the speaker-independent split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from real_files import answers, read

from mtrans.data.adapters import ADAPTERS


def test_folds(real: Path) -> None:
    samples = read("mustard", real / "mustard")
    assert Counter(s.answer for s in samples) == {"yes": 345, "no": 345}
    assert Counter(s.split for s in samples) == {f"fold{i}": 138 for i in range(1, 6)}
    assert {s.facts["show"] for s in samples} == {"BBT", "FRIENDS", "GOLDENGIRLS", "SARCASMOHOLICS"}
    assert all(len(s.context) >= 2 and s.context[-1].speaker for s in samples)


def test_star(real: Path, tmp_path: Path) -> None:
    for file in (*(real / "mustard").iterdir(), *(real / "mmla_mustard").iterdir()):
        (tmp_path / file.name).symlink_to(file)
    wanted = {
        "train": {"yes": 207, "no": 207},
        "val": {"yes": 69, "no": 69},
        "test": {"yes": 69, "no": 69},
    }
    whole = read("mustard", tmp_path, "mmla")
    assert answers(whole) == wanted
    adapter = ADAPTERS.get("mustard")
    alone = adapter.read(real / "mmla_mustard", None, adapter.request("mmla"))
    assert answers(list(alone.samples)) == wanted
    said = {s.id: s.context[-1].text for s in whole}
    assert {s.id: s.context[-1].text for s in alone.samples} == {
        k: v.strip() for k, v in said.items()
    }
    assert "speaker" in alone.notes[0]


def test_speaker_independent(real: Path) -> None:
    samples = read("mustard", real / "mustard", "speaker")
    assert answers(samples) == {"train": {"yes": 193, "no": 141}, "test": {"yes": 152, "no": 204}}
    names = {split: {s.speaker for s in samples if s.split == split} for split in ("train", "test")}
    assert not names["train"] & names["test"]
