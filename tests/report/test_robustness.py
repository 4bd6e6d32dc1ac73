"""The section "Robustness" of a report."""

from __future__ import annotations

import re
from pathlib import Path

from measure.test_robustness import back, clean, write
from mtrans.measure.predictions import write_predictions
from mtrans.measure.robustness import CLEAN
from mtrans.measure.robustness import robustness as measure
from mtrans.report.build import build
from report.run_folder_factory import make_run


def test_the_report_has_curves_tables_and_sentences(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", skill={"moving_direction": 0.9})
    assert '<section id="robustness">' not in build(run).read_text()
    folder = run / "robustness"
    folder.mkdir()
    answers = clean()
    write_predictions(folder / CLEAN, answers)
    for severity in (1, 3):
        write(folder, "shuffle", severity, answers)
    write(folder, "reverse", 5, [back(p) for p in answers])
    measure(folder, resamples=50)
    page = build(run).read_text()
    begin = page.index('<section id="robustness">')
    section = page[begin : page.index("</section>", begin)]
    assert 'href="#robustness"' in page
    assert section.count("<figure>") == 1  # reverse has one severity: no curve
    assert "shuffle, severity 3" in section
    assert "100.0\N{NO-BREAK SPACE}% follow" in section
    assert "<strong>+100.0</strong>" in section
    assert not re.search(r"(src|href)=\"(?!#|data:)", section)
