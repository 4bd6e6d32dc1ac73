"""NExT-QA: the official multiple-choice validation file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mtrans.core.errors import DatasetError
from mtrans.data.adapters import ADAPTERS


def test_validation(real: Path) -> None:
    adapter = ADAPTERS.get("nextqa")
    read = adapter.read(real / "nextqa", None, adapter.request(allow_partial=True))
    samples = list(read.samples)
    assert len(samples) == 4996
    assert [n.split(" are")[0] for n in read.notes] == [
        "0 questions in split 'train', 34132",
        "0 questions in split 'test', 8564",
    ]
    assert len({s.id for s in samples}) == 4996
    assert len({s.video for s in samples}) == 570
    assert Counter(s.facts["kind"] for s in samples) == {
        "causal": 2607,
        "temporal": 1612,
        "descriptive": 777,
    }
    # three questions name a candidate twice
    assert Counter(len(s.choices or ()) for s in samples) == {5: 4993, 4: 3}
    assert all(
        s.choices and s.label is not None and s.choices[s.label] == s.answer for s in samples
    )
    by_id = {s.id: s for s in samples}
    assert by_id["nextqa-4010069381-6"].answer == "roll the handle"
    assert by_id["nextqa-4010069381-6"].video == "NExTVideo/1106/4010069381.mp4"


def test_all_parts_are_wanted(real: Path) -> None:
    adapter = ADAPTERS.get("nextqa")
    with pytest.raises(DatasetError, match=r"no train\.csv, test\.csv in .*--allow-partial"):
        adapter.read(real / "nextqa", None, adapter.request())


def test_a_file_with_candidates_is_not_the_open_one(real: Path) -> None:
    adapter = ADAPTERS.get("nextqa")
    with pytest.raises(DatasetError, match=r"has candidates, so it is NExT-QA's; wanted NExT-OE's"):
        adapter.read(real / "nextqa", None, adapter.request("oe", allow_partial=True))
