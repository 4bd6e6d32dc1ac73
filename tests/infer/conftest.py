from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers of other test folders

from mtrans.core.records import Sample
from mtrans.data.manifest import read_manifest
from mtrans.train.adapt import adapt
from mtrans.train.run_folder import RunFolder
from train.small import make_all, small_settings


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with backbone/, clips/, train.jsonl."""
    folder = tmp_path_factory.mktemp("small")
    make_all(folder)
    return folder


@pytest.fixture(scope="session")
def run(small: Path) -> RunFolder:
    """A finished run of a few steps."""
    settings = small_settings(
        small / "backbone",
        small / "cache",
        **{"train.max_steps": 8, "frames.sampling": "fps", "frames.fps": 5.0},
    )
    samples = read_manifest(small / "train.jsonl")
    return adapt(settings, samples, samples, small / "run", progress=False)


@pytest.fixture
def samples(small: Path) -> list[Sample]:
    return read_manifest(small / "train.jsonl")
