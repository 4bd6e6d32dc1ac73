"""The tables that commands print."""

from __future__ import annotations

import io

from rich.console import Console

from mtrans.app.output import scores_table
from mtrans.core.records import Score


def printed(*scores: Score) -> str:
    stream = io.StringIO()
    Console(file=stream, width=110).print(scores_table(scores, "scores"))
    return stream.getvalue()


def test_a_number_that_is_no_share_is_not_printed_as_one() -> None:
    share = Score(metric="accuracy", value=0.5, low=0.4, high=0.6, n=9, clusters=9, chance=0.25)
    rank = Score(metric="median_rank", value=3.0, low=2.0, high=4.5, n=9, clusters=9, chance=5.0)
    both = printed(share, rank)
    assert all(word in both for word in ("50.0", "40.0 to 60.0", "25.0", "% or own unit"))
    assert all(word in both for word in ("3.00", "2.00 to 4.50", "5.00"))
    assert "300.0" not in both
    assert "own unit" not in printed(share)
