from __future__ import annotations

from pathlib import Path

from .conftest import Command, one_line_error


def test_results_are_printed_or_written(mtrans: Command, tmp_path: Path) -> None:
    done = mtrans("results", "--set", "ur_funny")
    assert done.status == 0, done.err
    assert "| MTransLLAMA, no MQT | V+T | 58.3 | published [1] |" in done.out
    assert "MUStARD" not in done.out
    written = mtrans("results", "--format", "latex", "--out", tmp_path / "t.tex")
    assert written.status == 0, written.err
    assert (tmp_path / "t.tex").read_text().count(r"\begin{table}") == 6
    one_line_error(mtrans("results", "mustard"), "SET=FOLDER")
