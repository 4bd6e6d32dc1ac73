"""A face seen from the front: what speaks in `talk`.

A look (who it is) is fixed per speaker; a pose (what the face does now) changes per frame. Some
speakers have corners of the mouth that point up or down at rest, so that a mouth's absolute shape
says less than its change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtrans.video.worlds.canvas import Canvas, Colour

EXPRESSIONS = ("happy", "neutral", "sad")
GAZES = ("left", "ahead", "right")
_DARK: Colour = (30, 25, 30)


@dataclass(frozen=True)
class Look:
    """Who a face is.

    Attributes:
        skin: Colour of face and hand.
        hair: Colour of the hair.
        shirt: Colour of the body.
        width: Half width of the head, as a fraction of the frame.
        rest: Valence of the mouth at rest, about -0.2 to 0.2.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    width: float = 0.24
    rest: float = 0.0


@dataclass(frozen=True)
class Pose:
    """What a face does in one frame.

    Attributes:
        valence: -1 is a deep frown, 1 a broad smile.
        gaze: -1 looks to the frame's left, 1 to its right.
        mouth_open: 0 shut to 1 wide open.
        hand: 0 is out of view, 1 raised beside the head.
    """

    valence: float = 0.0
    gaze: float = 0.0
    mouth_open: float = 0.0
    hand: float = 0.0


def random_look(rng: np.random.Generator) -> Look:
    """Draws a speaker's look."""

    def colour(low: tuple[int, int, int], high: tuple[int, int, int]) -> Colour:
        mix = rng.uniform(size=3) if high[0] - low[0] > 120 else np.full(3, rng.uniform())
        r, g, b = (int(a + m * (z - a)) for a, z, m in zip(low, high, mix, strict=True))
        return r, g, b

    return Look(
        skin=colour((125, 85, 60), (245, 205, 175)),
        hair=colour((25, 20, 20), (150, 110, 70)),
        shirt=colour((20, 20, 20), (230, 230, 230)),
        width=float(rng.uniform(0.21, 0.27)),
        rest=float(rng.uniform(-0.2, 0.2)),
    )


def draw_face(
    canvas: Canvas, look: Look, pose: Pose, x: float = 0.5, y: float = 0.48, scale: float = 1.0
) -> None:
    """Draws head, body and, if raised, a hand.

    Args:
        canvas: Where to draw.
        look: Who it is.
        pose: What the face does.
        x: Centre of the head.
        y: Centre of the head.
        scale: Size relative to a head of about half the frame.
    """
    w, h = look.width * scale, look.width * 1.28 * scale
    canvas.ellipse(x, y + h * 2.05, w * 1.7, h * 1.1, look.shirt)
    canvas.ellipse(x, y - h * 0.18, w * 1.1, h * 1.02, look.hair)
    canvas.ellipse(x, y, w, h, look.skin, ("face",))
    gaze_word = GAZES[int(np.clip(round(pose.gaze), -1, 1)) + 1]
    for side in (-1, 1):
        ex, ey = x + side * w * 0.42, y - h * 0.18
        canvas.ellipse(ex, ey, w * 0.27, w * 0.2, (245, 245, 245), ("eyes", f"look_{gaze_word}"))
        canvas.circle(ex + pose.gaze * w * 0.15, ey, w * 0.12, _DARK)
        # sad brows rise towards the nose, happy ones rise as a whole
        tilt, height = 0.1 * min(pose.valence, 0.0), 0.24 + 0.06 * max(pose.valence, 0.0)
        brow = [(ex + d * w * 0.25, ey - h * (height + d * side * tilt)) for d in (-1, 1)]
        canvas.line(brow, w * 0.09, look.hair)
    _draw_mouth(canvas, look, pose, x, y + h * 0.48, w, h)
    if pose.hand > 0.05:
        hx, hy = x + w * 1.45, y + h * (1.7 - 1.5 * pose.hand)
        canvas.line([(hx + w * 0.1, 1.05), (hx, hy)], w * 0.34, look.shirt)
        canvas.circle(hx, hy, w * 0.32, look.skin, ("hand",))


def expression_word(valence: float) -> str:
    """Returns the word for a valence: `happy`, `neutral` or `sad`."""
    return "happy" if valence > 0.33 else "sad" if valence < -0.33 else "neutral"


def _draw_mouth(
    canvas: Canvas, look: Look, pose: Pose, x: float, y: float, w: float, h: float
) -> None:
    bend = float(np.clip(pose.valence + look.rest, -1.1, 1.1)) * h * 0.26
    label = ("mouth", expression_word(pose.valence), *(("open",) if pose.mouth_open > 0.2 else ()))
    reach = np.linspace(-1, 1, 9)
    lower = [(x + u * w * 0.55, y + bend * (0.5 - u * u)) for u in reach]
    if pose.mouth_open > 0.08:
        opening = pose.mouth_open * h * 0.3
        upper = [(px, py - opening * (1 - u * u)) for (px, py), u in zip(lower, reach, strict=True)]
        canvas.polygon(lower + upper[::-1], (120, 30, 40), label)
    canvas.line(lower, w * 0.13, (150, 40, 50), label)
