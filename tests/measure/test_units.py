"""A metric knows whether it is a share, and every table writes it accordingly."""

from __future__ import annotations

import pytest

from mtrans.core.records import Score
from mtrans.measure.units import is_share, shown, unit
from mtrans.report.words import percent, points, signed
from mtrans.study.tables import _cell


def test_shares_are_percentages_and_other_numbers_are_themselves() -> None:
    assert shown("accuracy", 0.5432) == "54.3"
    assert shown("accuracy", 0.0712, signed=True) == "+7.1"
    assert shown("cider_d", 0.5432) == "0.54"
    assert shown("median_rank", 3) == "3.00"
    assert shown("median_rank", -1.5, signed=True) == "-1.50"
    assert shown("rouge_l", 0.5432, digits=2) == "54.32"
    assert shown("of a later version", 0.5) == "50.0"


def test_only_what_has_another_unit_is_no_share() -> None:
    names = ("accuracy", "macro_f1", "recall_at_5", "rouge_l", "parse_failures")
    assert all(is_share(name) for name in names)
    assert not is_share("cider_d")
    assert not is_share("median_rank")
    assert unit(["accuracy", "rouge_l"]) == "%"
    assert unit(["cider_d"]) == "own unit"
    assert unit(["accuracy", "cider_d"]) == "% or own unit"


@pytest.mark.parametrize(
    ("metric", "cell"),
    [("cider_d", "1.20 [1.00, 1.40] ±0.10"), ("accuracy", "120.0 [100.0, 140.0] ±10.0")],
)
def test_study_tables(metric: str, cell: str) -> None:
    score = Score(metric=metric, value=1.2, low=1.0, high=1.4, n=9, clusters=9)
    assert _cell(score, 0.1) == cell


def test_reports() -> None:
    assert (percent(0.5, metric="cider_d"), percent(0.5)) == ("0.50", "50.0\N{NO-BREAK SPACE}%")
    assert (points(2.5, metric="median_rank"), points(0.5)) == ("2.50", "50.0")
    assert signed(-0.25, metric="cider_d") == "\N{MINUS SIGN}0.25"
