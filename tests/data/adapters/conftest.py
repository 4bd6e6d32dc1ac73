"""The official annotation files, and the helpers beside the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # cases, real_files


@pytest.fixture(scope="session")
def real(shared_data: Path) -> Path:
    """Folder of official annotation files; they are not ours to ship."""
    folder = shared_data / "annotations"
    if not folder.is_dir():
        pytest.skip(f"no annotation files at {folder}")
    return folder
