"""The section "Analysis" of a report."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from mtrans.core.calibration import Calibration
from mtrans.measure.analyze import Inputs, analyze
from mtrans.measure.predictions import read_predictions
from mtrans.report.analysis import TITLES, analysis
from mtrans.report.build import build
from report.run_folder_factory import make_run


def analysed(folder: Path, **more) -> Path:
    run = make_run(folder, skill={"moving_direction": 0.9, "moving_count": 0.4})
    path = run / "predictions.jsonl"
    analyze(path, Inputs(read_predictions(path), resamples=50, **more))
    return run


def test_the_report_has_the_parts_with_their_sentences_and_plots(tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", skill={"moving_direction": 0.5, "moving_count": 0.5})
    predictions = read_predictions(other / "predictions.jsonl")
    fitted = Calibration("temperature", 0.5, n=50, clips=25, fitted_on="predictions_val.jsonl")
    run = analysed(tmp_path / "run", calibration=fitted, text_only=predictions, stills=predictions)
    page = build(run).read_text()
    section = page[page.index('<section id="analysis">') : page.index('<section id="curves">')]
    assert 'href="#analysis"' in page
    parts = re.findall(r'id="analysis-(\w+)"', section)
    wanted = ["mistakes", "worst", "modality", "perception", "calibration"]
    assert [name for name in parts if name in wanted] == wanted
    assert section.count("<svg viewBox") >= 2
    assert "Worst where" in section
    assert "calibrated (temperature)" in section
    assert "(temperature 2.00), fitted on 50 questions" in section
    assert "calibration error (ECE)" in section
    assert not re.search(r"(src|href)=\"(?!#|data:)", section)


def test_gaps_between_groups_have_intervals(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", skill={"moving_direction": 0.9}, n=200)
    path = run / "predictions.jsonl"
    sides = [
        dataclasses.replace(p, facts={**p.facts, "side": "ab"[i % 2]})
        for i, p in enumerate(read_predictions(path))
    ]
    analyze(path, Inputs(sides, columns=["side"], resamples=50))
    page = build(run).read_text()
    number = r"\d+\.\d"
    gap = rf"Largest gap of accuracy {number} points, 95 % interval {number} to {number} \(p "
    assert re.search(gap, page)
    assert re.search(gap.replace("Largest gap of accuracy", "Equalised-odds difference"), page)


def test_without_an_analysis_the_report_says_how_to_get_one(tmp_path: Path) -> None:
    page = build(make_run(tmp_path / "run", skill={"moving_count": 0.4})).read_text()
    assert '<section id="analysis">' not in page
    assert "No analysis: `mtrans analyze" in page


def test_an_analysis_of_other_predictions_is_not_shown(tmp_path: Path) -> None:
    run = analysed(tmp_path / "run")
    make_run(run, skill={"moving_direction": 0.2, "moving_count": 0.4}, seed=5)
    assert '<section id="analysis">' not in build(run).read_text()


def test_parts_stand_in_one_order_and_missing_ones_say_why() -> None:
    parts = {"bias": {"missing": "no column"}, "worst": {"says": ["a"], "parts": []}}
    found = analysis({"parts": parts})
    assert [part["name"] for part in found] == ["worst", "bias"]
    assert found[1]["missing"] == "no column"
    assert found[0]["title"] == TITLES["worst"]
    assert analysis({}) == []
