from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers of other test folders

from .small import make_all


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with backbone/, clips/, train.jsonl."""
    folder = tmp_path_factory.mktemp("small")
    make_all(folder)
    return folder
