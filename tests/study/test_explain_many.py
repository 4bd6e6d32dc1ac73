"""Lines of maps: one that a kill cut short is made again, and spoils none that follow."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtrans.core.records import Sample
from mtrans.study import explain_many as module
from mtrans.study.explain_many import MAPS, explain_many


def test_a_cut_line_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def line(predictor: object, sample: Sample, seed: int) -> dict[str, object]:
        made.append(sample.id)
        return {"answer": "a", "maps": {}}

    monkeypatch.setattr(module, "_line", line)
    predictor = SimpleNamespace(backbone=SimpleNamespace(identity="weights"), run=None)
    samples = [Sample(str(i), f"{i}.mp4", "which?") for i in range(3)]
    explain_many(predictor, samples[:2], tmp_path)  # type: ignore[arg-type]
    path = tmp_path / MAPS
    path.write_text(path.read_text()[:-9])
    made.clear()
    for _ in range(2):
        explain_many(predictor, samples, tmp_path)  # type: ignore[arg-type]
    assert made == ["1", "2"]
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["0", "1", "2"]
