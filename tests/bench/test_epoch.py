"""The epoch benchmark runs real adaptations and keeps the cases apart."""

from __future__ import annotations

import json

import pytest

from mtrans.bench.epoch import CASES, bench_epoch


@pytest.mark.slow
def test_epoch_benchmark_measures_three_cases(tmp_path):
    result = bench_epoch(tmp_path, clips=4, frames=2, rounds=1)
    assert set(result["seconds_per_epoch"]) == set(CASES)
    assert all(s > 0 for case in CASES for s in result["seconds_per_epoch"][case])
    assert [r.slow for r in result["ratios"]] == ["video", "video"]
    # the case from video has left no features behind, the others have
    written = json.loads((tmp_path / "epoch.json").read_text())
    assert written["clips"] == 4
    assert written["questions"] >= 4
    assert any((tmp_path / "warm").rglob("*"))
    assert any((tmp_path / "cold").rglob("*"))
