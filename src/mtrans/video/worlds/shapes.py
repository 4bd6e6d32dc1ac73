"""Coloured flat shapes: what moves in `physics` and what is passed in `ego`."""

from __future__ import annotations

import math

from mtrans.video.worlds.canvas import Canvas, Colour

COLOURS: dict[str, Colour] = {
    "red": (220, 50, 47),
    "green": (60, 180, 75),
    "blue": (50, 90, 230),
    "yellow": (240, 220, 60),
    "purple": (160, 60, 200),
    "orange": (250, 140, 40),
    "white": (240, 240, 240),
    "cyan": (70, 210, 230),
}
SHAPES = ("circle", "square", "triangle", "cross", "ring")


def draw_shape(
    canvas: Canvas, shape: str, colour: str, x: float, y: float, r: float, angle: float = 0.0
) -> None:
    """Draws one shape.

    Args:
        canvas: Where to draw.
        shape: One of :data:`SHAPES`.
        colour: One of :data:`COLOURS`.
        x: Centre, as a fraction of the frame.
        y: Centre, as a fraction of the frame.
        r: Radius of the circle that holds the shape.
        angle: Rotation in radians.
    """
    fill = COLOURS[colour]
    label = (colour, shape)
    if shape == "circle":
        canvas.circle(x, y, r * 0.92, fill, label)
    elif shape == "ring":
        canvas.ring(x, y, r * 0.95, r * 0.38, fill, label)
    elif shape == "square":
        canvas.polygon(_regular(x, y, r, 4, angle + math.pi / 4), fill, label)
    elif shape == "triangle":
        canvas.polygon(_regular(x, y, r, 3, angle - math.pi / 2), fill, label)
    elif shape == "cross":
        canvas.polygon(_cross(x, y, r, angle), fill, label)
    else:
        raise ValueError(f"unknown shape '{shape}'; known: {', '.join(SHAPES)}")


def _regular(x: float, y: float, r: float, n: int, angle: float) -> list[tuple[float, float]]:
    steps = [angle + 2 * math.pi * k / n for k in range(n)]
    return [(x + r * math.cos(a), y + r * math.sin(a)) for a in steps]


def _cross(x: float, y: float, r: float, angle: float) -> list[tuple[float, float]]:
    w = 0.32
    corners = [(w, 1), (-w, 1), (-w, w), (-1, w), (-1, -w), (-w, -w)]
    corners += [(-a, -b) for a, b in corners]
    c, s = math.cos(angle), math.sin(angle)
    return [(x + r * (c * a - s * b), y + r * (s * a + c * b)) for a, b in corners]
