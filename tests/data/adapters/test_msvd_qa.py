"""MSVD-QA: the validation split in IG-VLM's form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mtrans.data.adapters import ADAPTERS


def test_validation(real: Path) -> None:
    adapter = ADAPTERS.get("msvd_qa")
    read = adapter.read(real / "msvd_qa", None, adapter.request(allow_partial=True))
    samples = list(read.samples)
    assert len(samples) == len({s.id for s in samples}) == 6415
    assert {s.split for s in samples} == {"val"}
    assert not any("'val'" in note for note in read.notes), "the whole validation split is there"
    assert len({s.video for s in samples}) == 245
    assert Counter(s.type for s in samples) == {
        "what": 3995,
        "who": 2168,
        "how": 185,
        "when": 51,
        "where": 16,
    }
    assert samples[0].id == "msvd_qa-30933"
    assert samples[0].video == "YouTubeClips/bQJQGoJF7_k_162_169.avi"
    assert samples[0].group == "bQJQGoJF7_k"
