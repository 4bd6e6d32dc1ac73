"""Turns are taken fairly, and ratios are paired by round."""

from __future__ import annotations

import json

import pytest

from mtrans.bench.side_by_side import ratio, take_turns, write_result


def test_every_case_runs_once_a_round_and_leads_in_turn():
    order: list[str] = []

    def case(name: str, seconds: float):
        def run() -> float:
            order.append(name)
            return seconds

        return run

    lines: list[str] = []
    seconds = take_turns({"a": case("a", 1.0), "b": case("b", 2.0)}, 3, lines.append)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert seconds == {"a": [1.0] * 3, "b": [2.0] * 3}
    assert len(lines) == 6
    assert lines[0] == "round 1/3: a 1.00 s"


def test_ratio_is_taken_round_by_round():
    found = ratio({"slow": [4.0, 9.0, 2.0], "fast": [1.0, 3.0, 2.0]}, "slow", "fast")
    assert (found.median, found.low, found.high) == (3.0, 1.0, 4.0)
    assert str(found) == "slow / fast: 3.00 (rounds 1.00 to 4.00)"


def test_result_says_what_it_was_measured_on(tmp_path):
    write_result(tmp_path / "a" / "x.json", "x", {"seconds": [1.0]})
    record = json.loads((tmp_path / "a" / "x.json").read_text())
    assert record["benchmark"] == "x"
    assert record["seconds"] == [1.0]
    assert record["machine"]["threads"] >= 1
    assert record["machine"]["torch"]
    assert record["machine"]["instructions"].endswith("fast bf16")


@pytest.mark.parametrize("rounds", [1, 2])
def test_rounds_are_counted(rounds):
    assert len(take_turns({"a": lambda: 0.5}, rounds)["a"]) == rounds
