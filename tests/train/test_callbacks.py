"""What callbacks hold open is closed, however training ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from mtrans.core.files import write_text
from mtrans.train.callbacks import HoldingCallback, LogCallback
from mtrans.train.progress import ProgressCallback

STATE = TrainerState(is_world_process_zero=True)


def begin(callback: HoldingCallback, folder: Path) -> TrainingArguments:
    arguments = TrainingArguments(output_dir=str(folder), use_cpu=True, report_to=[])
    callback.on_train_begin(arguments, STATE, TrainerControl())
    return arguments


def test_what_is_held_is_closed_once_at_the_end_or_after_an_error(tmp_path: Path) -> None:
    closed: list[str] = []
    for name in ("end", "error"):
        callback = HoldingCallback()
        callback.held.callback(closed.append, name)
        arguments = begin(callback, tmp_path)
        if name == "end":
            callback.on_train_end(arguments, STATE, TrainerControl())
        callback.close()
        callback.close()
    assert closed == ["end", "error"]


def test_the_bar_is_taken_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    callback = ProgressCallback(total=3)
    begin(callback, tmp_path)
    assert callback.bar.live.is_started
    callback.close()
    assert not callback.bar.live.is_started


def test_the_event_file_is_closed(tmp_path: Path) -> None:
    callback = LogCallback(tmp_path / "log.jsonl", tmp_path / "events", per_epoch=1)
    begin(callback, tmp_path)
    assert callback.writer.file_writer is not None
    callback.close()
    assert callback.writer.file_writer is None


def test_the_log_of_a_run_that_goes_on_is_never_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text('{"step": 0, "seconds": 1.0}\n{"step": 3, "seconds": 2.0}\n')
    written: list[str] = []

    def watched(path: Path, text: str) -> None:
        written.append(text)  # what a kill at this moment would leave
        write_text(path, text)

    monkeypatch.setattr("mtrans.train.callbacks.write_text", watched)
    begin(LogCallback(file, None, per_epoch=1), tmp_path)  # at step 0: step 3 will come again
    assert written == ['{"step": 0, "seconds": 1.0}\n']
    assert file.read_text() == written[0]
