"""Scores over costs as inline SVG: a dot a row, the Pareto front drawn through its dots.

A dot says what was varied, and its curve whose it is; a contender without a curve is named at its
dot. Names are put where they cover least. Cost grows to the right on a logarithmic axis. What is on
the front is filled.
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

LETTERS = 7.5
"""Height of names in the picture."""

COLOURS = ("#2563a8", "#b4540a", "#2d7d46", "#8b3a8f", "#666", "#b02a37")
"""Of a picture outside a report; in one, the page's style sheet has its own."""

STYLE = (
    "svg{background:#fff}text{font:10px sans-serif;fill:#444}.grid{stroke:#ddd}"
    ".line{fill:none;stroke-width:1.5}.thin{stroke-width:1}.dot{fill:#fff;stroke-width:1.5}"
    "text[class]{stroke-width:.3}"
    + "".join(f".s{i},.t{i}{{stroke:{colour}}}" for i, colour in enumerate(COLOURS))
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
    y_ticks = ticks(min(ends), max(ends), 7)
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
    hues = _hues(points)
    for p in points:
        x, y = at(math.log10(p.cost), p.value)
        hue = hues[p.contender]
        if p.low is not None and p.high is not None:
            (_, y1), (_, y2) = at(math.log10(p.cost), p.low), at(math.log10(p.cost), p.high)
            parts.append(
                f'<line class="line s{hue}" opacity=".35" x1="{x}" x2="{x}" y1="{y1}" y2="{y2}"'
                ' style="stroke-dasharray:none"/>'
            )
        fill = f' style="fill:{_colour(hue)}"' if p.front else ""
        name = escape(f"{p.label}, {short(p.value, percent)}")
        parts.append(
            f'<circle class="dot s{hue}{" on" if p.front else ""}" cx="{x}" cy="{y}" r="3.5"{fill}>'
            f"<title>{name}</title></circle>"
        )
    parts += _names(points, at)
    best = "; ".join(f"{p.label} {short(p.value, percent)}" for p in points if p.front)
    svg = Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(f"{title}; on the front: {best}")}">' + "".join(parts) + "</svg>"
    )
    return stand_alone(svg) if alone else svg


def stand_alone(svg: Markup, legend: Sequence[str] = ()) -> Markup:
    """Makes a report's chart a picture of its own: with its style, and a legend above its lines."""
    rows = -(-len(legend) // 2)
    above = 4 + 12 * rows if legend else 0
    names = "".join(
        f'<text class="t{i}" x="{LEFT + i // rows * (WIDTH - LEFT) / 2:g}"'
        f' y="{12 * (i % rows + 1) - above:g}">{escape(name)}</text>'
        for i, name in enumerate(legend)
    )
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="620" '
    body = str(svg).replace("<svg ", head, 1).replace(">", f"><style>{STYLE}</style>", 1)
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}"', f'viewBox="0 {-above} {WIDTH} {HEIGHT + above}"'
    return Markup(body.replace(*view, 1).replace("</svg>", f"{names}</svg>"))


def _hues(points: Sequence[Point]) -> dict[str, int]:
    """Gives each contender a colour; the same to all where there is no curve to tell apart."""
    names = dict.fromkeys(p.contender for p in points)
    curved = any(p.tag for p in points)
    return {name: i % len(COLOURS) if curved else 0 for i, name in enumerate(names)}


def _colour(hue: int) -> str:
    return f"var(--s{hue},{COLOURS[hue]})"


def _lines(points: Sequence[Point], at: object) -> list[str]:
    """Draws the curve of each contender that has several points, and the front as steps."""
    assert callable(at)
    parts = []
    hues = _hues(points)
    for name in dict.fromkeys(p.contender for p in points):
        mine = sorted((p for p in points if p.contender == name), key=lambda p: p.cost)
        if len(mine) > 1:
            path = " ".join(f"{x},{y}" for x, y in (at(math.log10(p.cost), p.value) for p in mine))
            hue = f"line thin s{hues[name]}"
            parts.append(f'<polyline class="{hue}" opacity=".6" points="{path}"/>')
    front = sorted((p for p in points if p.front), key=lambda p: (p.cost, p.value))
    corners: list[tuple[float, float]] = []
    for p in front:
        x, y = at(math.log10(p.cost), p.value)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    if len(corners) > 1:
        path = " ".join(f"{x},{y}" for x, y in corners)
        look = 'opacity=".3" style="stroke:var(--ink,#222);stroke-width:3;stroke-dasharray:none"'
        parts.append(f'<polyline class="line" {look} points="{path}"/>')
    return parts


Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def _names(points: Sequence[Point], at: object) -> list[str]:
    """Writes what dots and curves are, each where it covers least of dots and of other names."""
    assert callable(at)
    places = {p.label: at(math.log10(p.cost), p.value) for p in points}
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in places.values()]
    hues = _hues(points)
    # a curve is named at any of its dots, the dearest first; names go before what is varied
    wanted = [
        (name, name, [places[p.label] for p in dearest if p.contender == name])
        for dearest in [sorted(points, key=lambda p: (-p.cost, -p.value))]
        for name in hues
    ]
    wanted += [(p.tag, "", [places[p.label]]) for p in points if p.tag]
    parts = []
    for words, name, dots in wanted:
        boxes = [box for dot in dots for box in _spots(words, *dot)]
        best = min(boxes, key=lambda box: sum(_shared(box, other) for other in taken) + _out(box))
        taken.append(best)
        look = f"font-size:{LETTERS}px;paint-order:stroke;stroke:var(--card,#fff);stroke-width:2px"
        look += f";fill:{_colour(hues[name])}" if name else ""
        place = f'x="{best[0]:.1f}" y="{best[3]:.1f}" style="{look}"'
        parts.append(f"<text {place}>{escape(words)}</text>")
    return parts


def _spots(words: str, x: float, y: float) -> list[Box]:
    """Returns where words can stand around a dot, the best first."""
    wide, high = 0.6 * LETTERS * len(words), 0.8 * LETTERS
    middle, left, right = x - wide / 2, x - wide - 6, x + 6
    spots = [(middle, y - 6), (middle, y + 12), (right, y + 3), (left, y + 3)]
    spots += [(right, y - 7), (left, y - 7), (right, y + 13), (left, y + 13)]
    return [(start, foot - high, start + wide, foot) for start, foot in spots]


def _shared(one: Box, other: Box) -> float:
    """Area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)


def _out(box: Box) -> float:
    """Area of a box outside the picture's field, which counts as covered."""
    field = (LEFT, TOP, WIDTH - RIGHT / 2, HEIGHT - BOTTOM)
    return (box[2] - box[0]) * (box[3] - box[1]) - _shared(box, field)


def _log_ticks(low: float, high: float) -> Mapping[float, str]:
    """Returns log10 of round costs within [low, high], with their names."""
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        places = range(math.floor(low), math.ceil(high) + 1)
        values = [m * 10.0**e for e in places for m in steps]
        inside = {math.log10(v): _big(v) for v in values if low <= math.log10(v) <= high}
        if len(inside) >= 3:
            return inside
    near = ticks(10**low, 10**high, 5)
    return {math.log10(v): _big(v) for v in near if v > 0 and low <= math.log10(v) <= high}


def _big(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
