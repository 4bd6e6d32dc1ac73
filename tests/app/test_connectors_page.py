"""The page of connectors is what the program says."""

from __future__ import annotations

from pathlib import Path

from mtrans.app.connectors import HEADS, SWITCHES, page, rows
from mtrans.core.settings import BASELINES
from mtrans.models.connectors import CONNECTORS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "connectors.md"


def test_the_page_is_up_to_date():
    assert DOCS.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_contender_has_a_row():
    made = {row[0]: row for row in rows(frames=6)}
    assert list(made) == list(BASELINES)
    assert set(BASELINES) == {*SWITCHES, *CONNECTORS}
    assert all(len(row) == len(HEADS) and all(row) for row in made.values())
    assert made["concat"][3] == str(6 * int(made["mqt"][3]))
    assert made["single"][3] == made["mean"][3] == made["mqt"][3]
    assert made["text"][4] == made["single"][4]
