"""MVBench: choosing tasks; its frames and its windows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from cases import cases
from PIL import Image

from mtrans.core.errors import DatasetError, SettingsError
from mtrans.core.settings import FrameSettings
from mtrans.data.adapters import ADAPTERS
from mtrans.data.adapters.mvbench import GROUPS, TASKS
from mtrans.video.clip import load_clip


def test_there_are_twenty() -> None:
    assert len(TASKS) == len({t.column for t in TASKS.values()}) == 20
    assert [TASKS[t].column for t in GROUPS["clevrer"]] == ["OE", "MD", "MC", "MA", "CI"]


def test_the_clevrer_tasks_are_those_of_lmms_eval(real: Path) -> None:
    files = (real / "lmms_eval_formats").glob("mvbench_mvbench_*.yaml")
    theirs = {re.search(r"sub_task: (\w+)", f.read_text())[1] for f in files}  # type: ignore[index]
    assert theirs == set(GROUPS["clevrer"])


@pytest.mark.parametrize("tasks", ["OE", "object_existence", " oe , Object_Existence"])
def test_a_task_by_name_or_column(tasks: str, tmp_path: Path) -> None:
    annotations, _ = cases("mvbench")[0].lay_out(tmp_path)
    adapter = ADAPTERS.get("mvbench")
    request = adapter.request(options={"tasks": tasks}, allow_partial=True)
    read = adapter.read(annotations, None, request)
    assert [s.type for s in read.samples] == ["object_existence"]


@pytest.mark.parametrize("tasks", ["OX", "clever", ",", "OE,nothing"])
def test_an_unknown_task(tasks: str, tmp_path: Path) -> None:
    adapter = ADAPTERS.get("mvbench")
    with pytest.raises(SettingsError, match=r"mvbench: option tasks="):
        adapter.read(tmp_path, None, adapter.request(options={"tasks": tasks}))


def test_a_missing_task_and_half_a_task(tmp_path: Path) -> None:
    annotations, _ = cases("mvbench")[0].lay_out(tmp_path)
    adapter = ADAPTERS.get("mvbench")
    with pytest.raises(DatasetError, match=r"no moving_count\.json in .*--allow-partial"):
        adapter.read(annotations, None, adapter.request(options={"tasks": "OE,MC"}))
    with pytest.raises(DatasetError, match=r"1 questions in object_existence\.json, 200 are"):
        adapter.read(annotations, None, adapter.request(options={"tasks": "OE"}))


def test_episodic_reasoning_is_read_from_its_frames(tmp_path: Path) -> None:
    case = cases("mvbench")[0]
    annotations, videos = case.lay_out(tmp_path)
    folder = videos / case.folders[0]
    for number in range(1, 31):
        Image.new("RGB", (8, 6), (8 * number, 0, 0)).save(folder / f"{number:05d}.png")
    sample = next(
        s for s in case.read(annotations, videos).samples if s.type == "episodic_reasoning"
    )
    assert sample.video == str(folder)
    shown = load_clip(sample.video, FrameSettings(count=3), sample.start, sample.end)
    # 1.5 s to 9 s: the middles of three parts of 2.5 s, at three pictures a second
    np.testing.assert_allclose(shown.times, np.array([8, 15, 23]) / 3)
    assert [int(p[0, 0, 0]) // 8 for p in shown.pixels] == [9, 16, 24]
