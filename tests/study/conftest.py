from __future__ import annotations

from pathlib import Path

import pytest

from mtrans.study.plan_file import plan_from_dict
from train.small import make_all

QUICK = {
    "device": "cpu",
    "prompt.template": "tiny",
    "lora.rank": 2,
    "train.precision": "fp32",
}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with backbone/, clips/, train.jsonl."""
    folder = tmp_path_factory.mktemp("small")
    make_all(folder)
    return folder


@pytest.fixture(scope="session")
def make_plan(small: Path):
    """Makes a plan on a random backbone and eight clips; a run takes a second."""

    def make(**changes):
        manifest = str(small / "train.jsonl")
        return plan_from_dict(
            {
                "data": {
                    "name": "squares",
                    "train": manifest,
                    "val": manifest,
                    "test": manifest,
                    "motion": ["way"],
                },
                "contenders": ["mtrans", "text"],
                "frames": 2,
                "steps": 2,
                "batch": 4,
                "seeds": [0],
                "set": {**QUICK, "backbone": str(small / "backbone")},
                **changes,
            }
        )

    return make
