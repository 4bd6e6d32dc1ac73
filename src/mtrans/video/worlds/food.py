"""Foods and kitchen tools: what is handled in `kitchen`. One tool stands for one action."""

from __future__ import annotations

import math

from mtrans.video.worlds.canvas import Canvas

FOODS = ("tomato", "egg", "bread", "fish", "carrot", "cheese")
ACTIONS = {"knife": "cut", "pan": "fry", "spoon": "stir", "tap": "wash", "shaker": "salt"}
TOOLS = tuple(ACTIONS)


def draw_food(canvas: Canvas, food: str, x: float, y: float, r: float) -> None:
    """Draws a food.

    Args:
        canvas: Where to draw.
        food: One of :data:`FOODS`.
        x: Centre, as a fraction of the frame.
        y: Centre, as a fraction of the frame.
        r: Half of its largest extent.
    """
    label = (food,)
    if food == "tomato":
        canvas.circle(x, y, r * 0.85, (205, 45, 35), label)
        canvas.polygon(
            [(x - r * 0.4, y - r * 0.75), (x + r * 0.4, y - r * 0.75), (x, y - r * 0.35)],
            (50, 140, 50),
            label,
        )
    elif food == "egg":
        canvas.ellipse(x, y, r, r * 0.8, (248, 246, 240), label)
        canvas.circle(x, y, r * 0.38, (248, 190, 40), label)
    elif food == "bread":
        canvas.polygon(
            [
                (x - r, y + r * 0.6),
                (x - r, y - r * 0.3),
                (x + r, y - r * 0.3),
                (x + r, y + r * 0.6),
            ],
            (190, 130, 70),
            label,
        )
        canvas.ellipse(x, y - r * 0.3, r, r * 0.4, (165, 100, 45), label)
    elif food == "fish":
        canvas.ellipse(x - r * 0.15, y, r * 0.8, r * 0.42, (130, 165, 190), label)
        canvas.polygon(
            [(x + r * 0.5, y), (x + r, y - r * 0.5), (x + r, y + r * 0.5)], (100, 135, 165), label
        )
        canvas.circle(x - r * 0.6, y - r * 0.1, r * 0.09, (20, 20, 20))
    elif food == "carrot":
        canvas.polygon(
            [(x - r, y), (x + r * 0.6, y - r * 0.4), (x + r * 0.6, y + r * 0.4)],
            (240, 125, 30),
            label,
        )
        canvas.polygon(
            [(x + r * 0.5, y), (x + r, y - r * 0.45), (x + r, y + r * 0.45)], (60, 160, 60), label
        )
    elif food == "cheese":
        canvas.polygon(
            [(x - r, y + r * 0.5), (x + r, y + r * 0.5), (x + r, y - r * 0.6)],
            (250, 215, 90),
            label,
        )
        for dx, dy in ((0.1, 0.25), (0.65, 0.0), (0.6, -0.3)):
            canvas.circle(x + dx * r, y + dy * r, r * 0.12, (205, 160, 40), label)
    else:
        raise ValueError(f"unknown food '{food}'; known: {', '.join(FOODS)}")


def draw_tool(canvas: Canvas, tool: str, x: float, y: float, r: float, angle: float = 0.0) -> None:
    """Draws a tool.

    Args:
        canvas: Where to draw.
        tool: One of :data:`TOOLS`.
        x: Centre, as a fraction of the frame.
        y: Centre, as a fraction of the frame.
        r: Half of its largest extent.
        angle: Rotation in radians.
    """
    c, s = math.cos(angle), math.sin(angle)

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + r * (c * a - s * b), y + r * (s * a + c * b)) for a, b in points]

    label = (tool,)
    steel, wood, black = (190, 195, 205), (110, 70, 40), (25, 25, 28)
    if tool == "knife":
        canvas.polygon(at((-1, -0.15), (0.25, -0.3), (0.25, 0.12), (-0.9, 0.12)), steel, label)
        canvas.polygon(at((0.25, -0.15), (1, -0.15), (1, 0.12), (0.25, 0.12)), wood, label)
    elif tool == "spoon":
        canvas.line(at((-0.4, 0), (1, 0)), r * 0.16, wood, label)
        ((px, py),) = at((-0.6, 0))
        canvas.circle(px, py, r * 0.36, wood, label)
    elif tool == "pan":
        canvas.line(at((0.4, 0), (1.25, 0)), r * 0.2, black, label)
        ((px, py),) = at((-0.2, 0))
        canvas.circle(px, py, r * 0.75, black, label)
        canvas.circle(px, py, r * 0.6, (70, 70, 76), label)
    elif tool == "tap":
        canvas.line(at((0.9, -0.8), (0, -0.8), (0, -0.1)), r * 0.3, (150, 155, 165), label)
        for k in (-0.14, 0.0, 0.14):
            canvas.line(at((k, 0), (k, 1.0)), r * 0.08, (90, 170, 240), label)
    elif tool == "shaker":
        canvas.polygon(
            at((-0.35, -0.9), (0.35, -0.9), (0.3, 0.1), (-0.3, 0.1)), (235, 235, 240), label
        )
        canvas.polygon(
            at((-0.32, 0.1), (0.32, 0.1), (0.22, 0.35), (-0.22, 0.35)), (120, 120, 130), label
        )
        for k in (-0.2, 0.0, 0.2):
            for d in (0.55, 0.85):
                ((px, py),) = at((k, d))
                canvas.circle(px, py, r * 0.06, (250, 250, 250), label)
    else:
        raise ValueError(f"unknown tool '{tool}'; known: {', '.join(TOOLS)}")
