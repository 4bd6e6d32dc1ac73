"""Several processes that were asked for and are not there are noticed."""

from __future__ import annotations

import pytest

from mtrans.core.settings import load_settings
from mtrans.train.where import find_where, not_started


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, None),
        ({"ACCELERATE_USE_CPU": "True"}, None),  # accelerate launch --cpu, one process asked for
        ({"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}, "accelerate launch"),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "SLURM_STEP_NUM_TASKS=2"),
        ({"SLURM_STEP_NUM_TASKS": "1", "WORLD_SIZE": "1", "RANK": "0"}, None),
    ],
)
def test_who_asked_for_several(environment: dict[str, str], words: str | None) -> None:
    found = not_started(environment)
    assert (found is None) if words is None else (found is not None and words in found)


def test_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(values={"device": "cpu"})
    assert find_where(settings).team.alone
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert find_where(settings).team.alone
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert "torchrun --nproc_per_node N -m mtrans adapt" in line
