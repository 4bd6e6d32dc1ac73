"""The length of clips for break-downs, where no manifest says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from measure.helpers import choice_prediction
from mtrans.core.records import Prediction
from mtrans.measure.lengths import with_lengths
from mtrans.measure.predictions import write_predictions
from mtrans.measure.score import score_predictions
from mtrans.video.write import write_video


def lengths(*predictions: Prediction) -> list[object]:
    return [p.facts.get("seconds") for p in with_lengths(predictions)]


def test_a_window_a_file_or_the_manifest_says_how_long_a_clip_is(tmp_path: Path) -> None:
    video = str(tmp_path / "a.mp4")
    write_video(video, np.zeros((8, 16, 16, 3), np.uint8), fps=4)
    found = lengths(
        choice_prediction(0, 0, 0, video=video),
        choice_prediction(1, 0, 0, video=video, start=0.5),
        choice_prediction(2, 0, 0, video="gone.mp4", start=1.0, end=4.5),
        choice_prediction(3, 0, 0, video=video, facts={"seconds": 9.0}),
    )
    assert found == pytest.approx([2.0, 1.5, 3.5, 9.0], abs=0.05)


def test_what_can_not_be_known_stays_out(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    items = [choice_prediction(i, 0, 0, video=v) for i, v in enumerate((str(broken), "gone.mp4"))]
    assert lengths(*items) == [None, None]
    assert with_lengths(items) == items


def test_accuracy_is_told_by_length(tmp_path: Path) -> None:
    made = [
        choice_prediction(i, 0, int(i % 4 == 3), video=f"{i % 8}.mp4", start=0.0, end=1.0 + i % 4)
        for i in range(40)
    ]
    write_predictions(tmp_path / "predictions.jsonl", made)
    scores = score_predictions(tmp_path / "predictions.jsonl", resamples=20)
    by = {s.slice["facts.seconds"]: s.value for s in scores if "facts.seconds" in s.slice}
    assert by == {1.0: 1.0, 2.0: 1.0, 3.0: 1.0, 4.0: 0.0}
