"""UR-FUNNY v2: MMLA's official-split files; the training file can't be had, so it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_files import answers

from mtrans.core.errors import DatasetError
from mtrans.data.adapters import ADAPTERS


def test_dev_and_test(real: Path) -> None:
    adapter = ADAPTERS.get("ur_funny")
    folder = real / "mmla_urfunny"
    read = adapter.read(folder, None, adapter.request(allow_partial=True))
    assert answers(list(read.samples)) == {
        "val": {"yes": 494, "no": 486},
        "test": {"yes": 490, "no": 504},
    }
    assert len({s.id for s in read.samples}) == 1974
    assert any("0 questions in split 'train', 7614 are published" in n for n in read.notes)
    with pytest.raises(DatasetError, match=r"no train\.jsonl in .* or pass --allow-partial"):
        adapter.read(folder, None, adapter.request())
