from __future__ import annotations

from pathlib import Path

import pytest

from .small import make_all


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with backbone/, clips/, train.jsonl."""
    folder = tmp_path_factory.mktemp("small")
    make_all(folder)
    return folder
