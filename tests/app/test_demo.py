"""The demo on a random backbone: what it writes, and that it goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mtrans.app.demo import DemoPlan, markdown, results, run_demo
from mtrans.core.errors import CheckpointError, MTransError
from mtrans.measure.predictions import read_predictions


@pytest.fixture(scope="module")
def plan(small: Path) -> DemoPlan:
    return DemoPlan(
        backbone=str(small / "backbone"),
        train_clips=4,
        val_clips=2,
        test_clips=6,
        workers=1,
        contenders=("mtrans", "text"),
        values={
            "device": "cpu",
            "prompt.template": "tiny",
            "train.max_steps": 2,
            "train.batch_size": 4,
            "lora.rank": 2,
        },
    )


def test_demo(plan: DemoPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run_demo(plan, tmp_path)
    shown = capsys.readouterr()
    assert "Synthetic" in shown.err
    assert [r.contender for r in rows] == ["mtrans", "text"]
    assert rows[0].against is None
    assert rows[1].against is not None
    found = read_predictions(tmp_path / "runs" / "text" / "predictions.jsonl")
    right = [p.choice == p.label for p in found]
    assert rows[1].overall.value == pytest.approx(sum(right) / len(right))
    moving = [p for p in found if p.type == "sarcasm"]
    assert rows[1].motion is not None
    assert rows[1].motion.n == len(moving) > 0
    page = (tmp_path / "table.md").read_text()
    assert page == markdown(plan, rows)
    assert "Synthetic" in page
    assert (tmp_path / "report.html").is_file()
    for words in ("mtrans ask ", "right is:", str(tmp_path / "report.html")):
        assert words in shown.out

    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    again = run_demo(plan, tmp_path)
    assert again == rows == results(plan, tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")} == before

    other = replace(plan, values={**plan.values, "train.max_steps": 3})
    with pytest.raises(CheckpointError, match=r"train\.max_steps: 2 there, 3 here"):
        run_demo(other, tmp_path)


def test_contenders_have_the_same_budget() -> None:
    plan = DemoPlan.make(full=True, seed=3, train_clips=50)
    assert plan.contenders == ("mtrans", "text", "concat", "single", "mean")
    assert plan.train_clips == 50
    settings = [plan.job(name, Path("out")).settings(Path("out")) for name in plan.contenders]
    assert len({s.train for s in settings}) == 1
    assert settings[0].train.seed == 3
    assert len({s.model for s in settings}) == 5
    assert settings[3].frames.count == 1
    assert DemoPlan.make(full=False, seed=0, train_clips=None).contenders[1:] == ("text", "concat")


def test_no_weights_fail_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(MTransError, match="nowhere"):
        run_demo(DemoPlan(backbone=str(tmp_path / "nowhere")), tmp_path / "out")
    assert not (tmp_path / "out").exists()
