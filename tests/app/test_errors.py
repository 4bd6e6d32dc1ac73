"""One line and a status for what people do wrong; a traceback for what we did wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mtrans as package
from mtrans.app import errors
from mtrans.app.cli import app, main
from mtrans.app.reference import commands
from mtrans.core.errors import SettingsError

from .conftest import Command, one_line_error


def test_version_and_help(mtrans: Command) -> None:
    assert mtrans("--version").out == f"mtrans {package.__version__}\n"
    for words in ((), ("--help",), ("adapt", "--help"), ("worlds", "--help")):
        done = mtrans(*words)
        assert done.status == 0
        assert "Usage" in done.out


def test_wrong_usage_is_one_line(mtrans: Command) -> None:
    one_line_error(mtrans("adpat"), "adpat", "adapt")
    one_line_error(mtrans("adapt", "--dta", "x"), "--dta", "--data")
    one_line_error(mtrans("eval", "x", "--data", "y", "--batch-size", "many"), "--batch-size")
    one_line_error(mtrans("worlds", "make", "physics", "--out", "x", "--train", -1), "--train")


def test_debug_shows_the_traceback(mtrans: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="unknown preset"):
        mtrans("--debug", "settings", "--preset", "x")
    monkeypatch.setattr(sys, "argv", ["mtrans", "settings", "--preset", "x", "--debug"])
    with pytest.raises(SettingsError, match="unknown preset"):
        main()


def test_bugs_keep_their_traceback(mtrans: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("mtrans.core.settings.load_settings", broken)
    with pytest.raises(ZeroDivisionError):
        mtrans("settings")


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["worlds", "make", "physics", "--out", str(tmp_path), "--train", "5000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mtrans", *words, "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job hands down that Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("videos/*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines() == ["stopped: the same command keeps the clips that are there"]


def test_out_that_cannot_be_written_is_one_line(
    mtrans: Command, run: Path, small: Path, adapt_words: list[object], tmp_path: Path
) -> None:
    file = tmp_path / "clip.mp4"
    file.write_text("x")
    for out in (file, file / "sub"):
        one_line_error(mtrans(*adapt_words, "--out", out), f"'{file}' is a file")
    data = ["--data", small / "train.jsonl"]
    one_line_error(mtrans("eval", run, *data, "--out", file / "x"), f"'{file}' is a file")
    one_line_error(mtrans("report", run, "--out", file / "x.html"), f"'{file}' is a file")
    one_line_error(
        mtrans("worlds", "make", "talk", "--test", 1, "--out", file / "d"), f"'{file}' is a file"
    )
    one_line_error(
        mtrans("export-predictions", run, "--out", file / "x" / "y.jsonl"), f"'{file}' is a file"
    )
    assert file.read_text() == "x"


def test_an_interrupted_command_says_that_it_goes_on_where_its_help_does() -> None:
    promised = {
        path.split()[0]
        for path, command in commands(app)
        if "the same command goes on" in " ".join((command.__doc__ or "").split())
    }
    assert promised >= {"adapt", "robustness", "crossval"}
    assert promised <= set(errors._RESUMABLE)
