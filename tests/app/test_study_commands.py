"""`mtrans study`: a plan in, tables and a report out, found again, and mistakes in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import yaml

from app.conftest import Command, one_line_error
from mtrans.study.plan_file import plan_from_dict


def test_example_is_a_plan(mtrans: Command) -> None:
    done = mtrans("study", "example")
    assert done.status == 0
    assert plan_from_dict(yaml.safe_load(done.out)).steps == 400


def test_run_and_show(mtrans: Command, small: Path, tmp_path: Path) -> None:
    split = str(small / "train.jsonl")
    plan = {
        "data": {"name": "squares", "train": split, "val": split, "test": split},
        "contenders": ["mtrans"],
        "vary": {"clips": [3, 8]},
        "seeds": [1],
        "steps": 1,
        "batch": 4,
        "set": {
            "backbone": str(small / "backbone"),
            "device": "cpu",
            "prompt.template": "tiny",
            "lora.rank": 2,
        },
    }
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    out = tmp_path / "study"
    done = mtrans("study", "run", tmp_path / "plan.yaml", "--out", out)
    assert done.status == 0, done.err
    assert "[2/2] squares/mtrans/clips-8/seed-1: accuracy" in done.err
    assert (out / "table.md").read_text() in done.out
    with (out / "table.csv").open() as file:
        assert [line["clips"] for line in csv.DictReader(file)] == ["3", "8"]
    page = (out / "report.html").read_text()
    assert "all, over clips" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")

    told = mtrans("study", "status", out)
    assert (told.status, told.out) == (0, "2 of 2 runs finished\n"), told.err
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({**plan, "seeds": [1, 2]}))
    told = mtrans("study", "status", out, "--plan", tmp_path / "more.yaml")
    assert "squares/mtrans/clips-3/seed-2" in told.out
    assert told.out.endswith("2 of 4 runs finished, 2 not begun\n")

    (out / "table.md").unlink()
    again = mtrans("study", "show", out)
    assert again.status == 0, again.err
    assert again.out == done.out
    assert (out / "table.md").exists()

    done = mtrans("study", "keep", out, "--to", tmp_path / "kept", "--answers")
    assert done.status == 0, done.err
    kept, there = tmp_path / "kept" / "squares", tmp_path / "there"
    done = mtrans("study", "restore", kept, "--out", there)
    assert done.out.startswith(f"2 runs restored to {there}"), done.err
    done = mtrans("study", "run", tmp_path / "plan.yaml", "--out", there)
    assert done.status == 0, done.err
    assert "[2/2] 2 runs found done" in done.err
    assert (there / "table.csv").read_text() == (out / "table.csv").read_text()
    again = mtrans("study", "restore", kept, "--out", there)
    assert "2 were there and are as they were" in again.out
    one_line_error(mtrans("study", "restore", there, "--out", out), "runs.tar.xz", "keep --answers")


def test_mistakes_are_one_line(mtrans: Command, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("data: {world: talk, train: 1, test: 1}\ncontender: [x]\n")
    done = mtrans("study", "run", tmp_path / "plan.yaml", "--out", tmp_path / "out")
    one_line_error(done, "unknown key 'contender'", "did you mean 'contenders'")
    assert not (tmp_path / "out").exists()
    one_line_error(mtrans("study", "show", tmp_path), "holds no study")
