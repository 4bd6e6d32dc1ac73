"""Scores over costs as inline SVG: a dot a row, the Pareto front drawn through its dots.

Rows are numbered, so that twenty of them can be told apart; the legend is the caller's. Cost grows
to the right on a logarithmic axis. What is on the front is filled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from mtrans.report.plots import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    draw_axes,
    short,
    ticks,
)
from mtrans.study.front import Point

STYLE = (
    "svg{background:#fff}text{font:10px sans-serif;fill:#444}.grid{stroke:#ddd}"
    ".line{fill:none;stroke:#2563a8;stroke-width:1.5}.thin{stroke:#999;stroke-width:1}"
    ".s1,.t1{stroke:#b4540a}.s2,.t2{stroke:#2d7d46}.s3,.t3{stroke:#8b3a8f}.s4,.t4{stroke:#666}"
    ".s5,.t5{stroke:#b02a37}.t0{stroke:#2563a8}text[class]{stroke-width:.3}"
    ".dot{fill:#fff;stroke:#2563a8;stroke-width:1.5}.on{fill:#2563a8}"
)
"""Looks of a picture that stands outside a report."""


def front_chart(
    points: Sequence[Point], *, title: str, unit: str, percent: bool = True, alone: bool = False
) -> Markup:
    """Draws rows over a cost.

    Args:
        points: The rows.
        title: Read out by screen readers.
        unit: What the cost is.
        percent: Scores are fractions, shown in percent.
        alone: Make it a file of its own, with its own style.

    Returns:
        An ``<svg>`` element, empty where there are no two different costs.
    """
    if len({p.cost for p in points}) < 2 or min(p.cost for p in points) <= 0:
        return Markup("")
    xs = [math.log10(p.cost) for p in points]
    pad = 0.06 * (max(xs) - min(xs))
    x_low, x_high = min(xs) - pad, max(xs) + pad
    ends = [e for p in points for e in (p.value, p.low, p.high) if e is not None]
    y_ticks = ticks(min(ends), max(ends), 5)
    y_low, y_high = min(y_ticks[0], min(ends)), max(y_ticks[-1], max(ends))

    def at(x: float, y: float) -> tuple[float, float]:
        across, up = (x - x_low) / (x_high - x_low), (y - y_low) / ((y_high - y_low) or 1)
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    named = _log_ticks(x_low, x_high)
    parts = [
        draw_axes(list(named), y_ticks, at, x_low, x_high, y_low, y_high, percent, unit, named)
    ]
    parts += _lines(points, at)
    for p in points:
        x, y = at(math.log10(p.cost), p.value)
        if p.low is not None and p.high is not None:
            (_, y1), (_, y2) = at(math.log10(p.cost), p.low), at(math.log10(p.cost), p.high)
            parts.append(
                f'<line class="line" opacity=".35" x1="{x}" x2="{x}" y1="{y1}" y2="{y2}"/>'
            )
        fill = ' style="fill:var(--accent,#2563a8)"' if p.front else ""
        name = escape(f"{p.number}: {p.label}, {short(p.value, percent)}")
        parts.append(
            f'<circle class="dot s0{" on" if p.front else ""}" cx="{x}" cy="{y}" r="3.5"{fill}>'
            f"<title>{name}</title></circle>"
        )
        parts.append(f'<text x="{x + 5}" y="{y - 4}">{p.number}</text>')
    best = "; ".join(f"{p.label} {short(p.value, percent)}" for p in points if p.front)
    svg = Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(f"{title}; on the front: {best}")}">' + "".join(parts) + "</svg>"
    )
    return stand_alone(svg) if alone else svg


def stand_alone(svg: Markup, legend: Sequence[str] = ()) -> Markup:
    """Makes a report's chart a picture of its own: with its style, and a legend of its lines."""
    names = "".join(
        f'<text class="t{i}" x="{LEFT + 6}" y="{TOP + 10 + 12 * i}">{escape(name)}</text>'
        for i, name in enumerate(legend)
    )
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="620" '
    body = str(svg).replace("<svg ", head, 1).replace(">", f"><style>{STYLE}</style>", 1)
    return Markup(body.replace("</svg>", f"{names}</svg>"))


def _lines(points: Sequence[Point], at: object) -> list[str]:
    """Draws the curve of each contender that has several points, and the front as steps."""
    assert callable(at)
    parts = []
    for name in dict.fromkeys(p.contender for p in points):
        mine = sorted((p for p in points if p.contender == name), key=lambda p: p.cost)
        if len(mine) > 1:
            path = " ".join(f"{x},{y}" for x, y in (at(math.log10(p.cost), p.value) for p in mine))
            parts.append(f'<polyline class="line thin" opacity=".4" points="{path}"/>')
    front = sorted((p for p in points if p.front), key=lambda p: (p.cost, p.value))
    corners: list[tuple[float, float]] = []
    for p in front:
        x, y = at(math.log10(p.cost), p.value)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    if len(corners) > 1:
        path = " ".join(f"{x},{y}" for x, y in corners)
        parts.append(f'<polyline class="line s0" points="{path}"/>')
    return parts


def _log_ticks(low: float, high: float) -> Mapping[float, str]:
    """Returns log10 of round costs within [low, high], with their names."""
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        places = range(math.floor(low), math.ceil(high) + 1)
        values = [m * 10.0**e for e in places for m in steps]
        inside = {math.log10(v): _big(v) for v in values if low <= math.log10(v) <= high}
        if len(inside) >= 3:
            return inside
    return inside


def _big(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
