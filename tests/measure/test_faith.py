"""How many clips a map is true on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy.stats import binomtest

from mtrans.measure.faith import binomial, faith, write_faith


def line(i: int, deletion: bool, insertion: bool) -> dict:
    def curve(better: bool) -> dict:
        return {"better": better, "area": 0.4, "random_area": 0.5}

    return {
        "id": f"q{i}",
        "maps": {
            "occlusion": {"deletion": curve(True), "insertion": curve(True)},
            "rollout": {"deletion": curve(deletion), "insertion": curve(insertion)},
        },
    }


def test_a_map_counts_where_it_wins_by_both_curves() -> None:
    lines = [line(i, deletion=i < 6, insertion=i >= 4) for i in range(10)]
    found = faith(lines)
    first, second = found["maps"]
    assert (first["name"], first["better"], first["high"]) == ("occlusion", 1.0, 1.0)
    assert (second["better"], second["deletion"], second["insertion"]) == (0.2, 0.6, 0.6)
    assert second["gain_deletion"] == pytest.approx(0.1)
    assert second["gain_insertion"] == pytest.approx(-0.1)
    assert "no better than chance" not in found["says"][0]
    assert "no better than chance" in found["says"][1]  # 2 of 10 may be luck


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 12), (12, 12)])
def test_the_interval_is_scipys_exact_one(hits: int, n: int) -> None:
    wanted = binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert binomial(hits, n) == pytest.approx((wanted.low, wanted.high))


def test_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "faithfulness.json"
    found = write_faith([line(0, True, True)], path)
    assert json.loads(path.read_text()) == found
