"""Reading official files whole, for the tests that hold them to published counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mtrans.core.records import Sample
from mtrans.data.adapters import ADAPTERS


def read(name: str, folder: Path, scheme: str | None = None, **options: str) -> list[Sample]:
    """Reads a set without its videos; nothing may be missing."""
    adapter = ADAPTERS.get(name)
    prepared = adapter.read(folder, None, adapter.request(scheme, options))
    assert not prepared.notes, "the whole set has nothing to remark"
    return list(prepared.samples)


def answers(samples: list[Sample]) -> dict[str, Counter[str | None]]:
    """Split -> how often each answer is right."""
    return {
        split: Counter(s.answer for s in samples if s.split == split)
        for split in sorted({s.split or "" for s in samples})
    }
