from __future__ import annotations

import math
import re

import pytest

from mtrans.report import words
from mtrans.report.plots import HEIGHT, WIDTH, Series, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1, [0, 0.25, 0.5, 0.75, 1.0]),
        (0.31, 0.58, [0.3, 0.4, 0.5, 0.6]),
        (0, 0.004, [0, 0.001, 0.002, 0.003, 0.004]),
    ],
)
def test_ticks_are_round_and_enclose(low, high, wanted):
    assert ticks(low, high, 5) == pytest.approx(wanted)


def test_a_flat_line_and_a_single_point_can_be_drawn():
    for ys in ([0.5, 0.5], [0.0, 0.0]):
        assert "<polyline" in line_chart([Series("a", [1, 2], ys)], title="t")
    assert "<circle" in line_chart([Series("a", [5], [2.0])], title="t")


def test_points_lie_inside_the_picture_and_nan_is_left_out():
    ys = [3.0, math.nan, -2.0, math.inf, 7.0]
    svg = line_chart([Series("a", [0, 1, 2, 3, 4], ys, mark="min")], title="t")
    points = re.search(r'points="([^"]+)"', svg)
    assert points is not None
    pairs = [tuple(map(float, p.split(","))) for p in points.group(1).split()]
    assert len(pairs) == 3
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in pairs)
    assert pairs[1][1] > pairs[0][1] > pairs[2][1]  # screen y grows downwards
    ring = re.search(r'cx="([\d.]+)"', svg)
    assert ring is not None
    assert float(ring.group(1)) == pairs[1][0]
    assert line_chart([Series("a", [0], [math.nan])], title="t") == ""


def test_long_logs_are_thinned_but_keep_their_end():
    series = Series("a", range(10_001), [float(i) for i in range(10_001)])
    points = series.points()
    assert len(points) <= 402
    assert points[-1] == (10_000, 10_000.0)


def test_names_are_escaped_in_the_description():
    svg = line_chart([Series('"><b>', [0, 1], [0, 1])], title="<i>")
    assert "<b>" not in svg
    assert "<i>" not in svg


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (words.percent(0.5432), "54.3\N{NO-BREAK SPACE}%"),
        (words.percent(None), words.NOTHING),
        (words.signed(-0.0712), "\N{MINUS SIGN}7.1"),
        (words.signed(0.0712), "+7.1"),
        (words.signed(-0.0001), "0.0"),
        (words.large(2_345_678), "2.35 M"),
        (words.large(512), "512"),
        (words.duration(0.0123), "12.3 ms"),
        (words.duration(59.96), "60 s"),
        (words.duration(221), "3 min 41 s"),
        (words.duration(7290), "2 h 1 min"),
        (words.memory(812.5 * 2**20), "812 MiB"),
        (words.p_value(0.0001), "< 0.001"),
        (words.p_value(0.034), "0.034"),
        (words.setting(False), "false"),
        (words.setting(("a", "b")), "a, b"),
        (words.label("facts.moving_count"), "moving count"),
    ],
)
def test_numbers_read_well(got, wanted):
    assert got == wanted
