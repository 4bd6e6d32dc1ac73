"""Line charts as inline SVG.

Drawn by hand instead of by matplotlib: colours come from the page's style sheet, so one picture
serves light mode, dark mode and paper, and its text is real text for screen readers and search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 310, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34
_MAX_POINTS = 400


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: For the legend.
        x: Steps.
        y: Values; those that are not finite are left out.
        mark: ``max`` or ``min`` marks that point, ``all`` every point; empty marks none.
        low: Lower ends of the values' intervals, drawn as whiskers; empty for none.
        high: Upper ends.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    mark: str = ""
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def points(self) -> list[tuple[float, float]]:
        """Returns the finite points, thinned to what a picture can show."""
        finite = [(a, b) for a, b in zip(self.x, self.y, strict=True) if math.isfinite(b)]
        stride = max(1, math.ceil(len(finite) / _MAX_POINTS))
        kept = finite[::stride]
        return kept if not finite or kept[-1] == finite[-1] else [*kept, finite[-1]]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    percent: bool = False,
    unit: str = "step",
    x_names: Sequence[str] = (),
) -> Markup:
    """Draws lines over training steps, or over something else.

    Args:
        series: At most six are told apart by colour and dash.
        title: Read out by screen readers.
        percent: Values are fractions, shown in percent.
        unit: What x is.
        x_names: Names of x = 0, 1, 2, ..., in place of numbers.

    Returns:
        An ``<svg>`` element, empty where no series has a finite point.
    """
    lines = [(s, points) for s in series if (points := s.points())]
    if not lines:
        return Markup("")
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for s, points in lines for y in (*(y for _, y in points), *s.low, *s.high)]
    x_ticks = [float(i) for i in range(len(x_names))] or ticks(min(xs), max(xs), 5)
    named = dict(zip(x_ticks, x_names, strict=False))
    y_ticks = ticks(min(ys), max(ys), 5)
    x_low, x_high = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
    y_low, y_high = min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low)
        up = (y - y_low) / ((y_high - y_low) or 1)
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    parts = [draw_axes(x_ticks, y_ticks, at, x_low, x_high, y_low, y_high, percent, unit, named)]
    for i, (s, points) in enumerate(lines):
        path = " ".join(f"{x},{y}" for x, y in (at(*p) for p in points))
        parts.append(f'<polyline class="line s{i % 6}" points="{path}"/>')
        for x, low, high in zip(s.x, s.low, s.high, strict=False):
            (x1, y1), (_, y2) = at(x, low), at(x, high)
            whisker = f'x1="{x1}" x2="{x1}" y1="{y1}" y2="{y2}" style="stroke-dasharray:none"'
            parts.append(f'<line class="line s{i % 6}" opacity=".45" {whisker}/>')
        if s.mark == "all":
            for x, y in (at(*point) for point in points):
                parts.append(f'<circle class="dot s{i % 6}" cx="{x}" cy="{y}" r="3"/>')
        elif len(points) == 1 or s.mark:
            best = (min if s.mark == "min" else max)(points, key=lambda p: p[1])
            x, y = at(*best)
            parts.append(f'<circle class="dot s{i % 6}" cx="{x}" cy="{y}" r="4"/>')
    said = "; ".join(_in_words(s.name, points, percent, unit, named) for s, points in lines)
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{title}: {said}")}">'
        + "".join(parts)
        + "</svg>"
    )


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Returns about `wanted` round numbers that enclose [low, high]."""
    if not high > low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / max(1, wanted - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def short(value: float, percent: bool = False) -> str:
    """Returns a number as an axis shows it."""
    if percent:
        return f"{value * 100:g} %" if abs(value * 1000 % 1) < 1e-6 else f"{value * 100:.2g} %"
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    if abs(value) < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e")
    return f"{value:.4g}"


def draw_axes(
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    at: object,
    x_low: float,
    x_high: float,
    y_low: float,
    y_high: float,
    percent: bool,
    unit: str,
    named: Mapping[float, str],
) -> str:
    """Draws grid, numbers and the name of x; `at` places a point."""
    assert callable(at)
    parts = []
    for value in y_ticks:
        _, y = at(x_low, value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        label = short(value, percent)
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{label}</text>')
    for value in x_ticks:
        if not x_low <= value <= x_high:
            continue
        x, _ = at(value, y_low)
        y = HEIGHT - BOTTOM + 16
        shown = escape(named.get(value, short(value)))
        parts.append(f'<text x="{x}" y="{y}" text-anchor="middle">{shown}</text>')
    parts.append(
        f'<text class="unit" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">'
        f"{escape(unit)}</text>"
    )
    return "".join(parts)


def _in_words(
    name: str,
    points: Sequence[tuple[float, float]],
    percent: bool,
    unit: str,
    named: Mapping[float, str],
) -> str:
    ends = (points[0], points[-1])
    words = (f"{short(y, percent)} at {unit} {named.get(x, short(x))}" for x, y in ends)
    return f"{name} {', '.join(words)}"
