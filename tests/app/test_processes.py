"""Which of several processes speaks."""

from __future__ import annotations

import pytest

from mtrans.app.processes import main_process


@pytest.mark.parametrize(
    ("rank", "processes", "speaks"), [(0, 2, True), (1, 2, False), (1, 1, True)]
)
def test_one_of_several_processes_speaks_also_before_they_have_met(
    rank: int, processes: int, speaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    assert main_process() == speaks
