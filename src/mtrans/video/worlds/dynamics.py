"""Flat rigid bodies on a table seen from above: what moves in `physics`.

Simulation and drawing are apart, so that truth (also of what would have happened) needs no pixels.
Places are fractions of the frame as on a canvas, times are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pymunk

from mtrans.video.worlds.canvas import Canvas, Colour
from mtrans.video.worlds.shapes import draw_shape

_UNIT = 100.0
"""Chipmunk's tolerances suit bodies of some ten units, not of a tenth of one."""
_STEPS_A_SECOND = 64


@dataclass(frozen=True)
class Thing:
    """A body at the start of a clip.

    Attributes:
        colour: Its colour word.
        shape: Its shape word.
        x: Start, as a fraction of the frame.
        y: Start, as a fraction of the frame.
        r: Radius of the circle that holds it.
        angle: Rotation at the start, in radians.
        vx: Velocity at the start, frames a second.
        vy: Velocity at the start, frames a second.
    """

    colour: str
    shape: str
    x: float
    y: float
    r: float
    angle: float = 0.0
    vx: float = 0.0
    vy: float = 0.0

    @property
    def name(self) -> str:
        """How it is called: ``"red circle"``."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Track:
    """What happened.

    Attributes:
        states: float64[T, N, 3]: x, y, angle of every thing in every frame; NaN for a removed one.
        contacts: Pairs (i, j), i < j, that touched.
    """

    states: np.ndarray
    contacts: frozenset[tuple[int, int]]

    def displacement(self, index: int, r: float) -> np.ndarray:
        """Returns float64[2]: the way from the first to the last place at which it is in view."""
        places = self.states[:, index, :2]
        seen = places[np.all((places > -r) & (places < 1 + r), axis=1)]
        return seen[-1] - seen[0] if len(seen) else np.zeros(2)


def simulate(
    things: Sequence[Thing],
    *,
    frames: int,
    fps: float,
    drag: float = 0.0,
    removed: int | None = None,
) -> Track:
    """Lets the bodies go.

    Args:
        things: N bodies at the start; they must not touch.
        frames: Number of frames T; frame i shows time i / fps.
        fps: Frames a second.
        drag: Velocity falls by exp(-drag * seconds).
        removed: A body that is not there.

    Returns:
        Where everything was and what touched.
    """
    space = pymunk.Space()
    space.damping = math.exp(-drag)
    bodies: dict[int, pymunk.Body] = {}
    for index, thing in enumerate(things):
        if index != removed:
            bodies[index] = _add(space, thing, index)
    contacts: set[tuple[int, int]] = set()

    def touch(arbiter: pymunk.Arbiter, _space: pymunk.Space, _data: object) -> None:
        a, b = (shape.collision_type for shape in arbiter.shapes)
        if a != b:  # a cross is two bars
            contacts.add((min(a, b) - 1, max(a, b) - 1))

    space.on_collision(begin=touch)
    substeps = max(1, math.ceil(_STEPS_A_SECOND / fps))
    states = np.full((frames, len(things), 3), np.nan)
    for frame in range(frames):
        for index, body in bodies.items():
            x, y = body.position
            states[frame, index] = x / _UNIT, y / _UNIT, body.angle
        if frame + 1 < frames:
            for _ in range(substeps):
                space.step(1 / fps / substeps)
    return Track(states, frozenset(contacts))


def render(
    things: Sequence[Thing], track: Track, *, size: int, background: Colour
) -> Iterator[np.ndarray]:
    """Draws a track frame by frame.

    Args:
        things: The N bodies.
        track: Where they are.
        size: Height and width in pixels.
        background: Colour of the table.

    Yields:
        uint8[H, W, 3]
    """
    for state in track.states:
        canvas = Canvas(size, background=background)
        for thing, (x, y, angle) in zip(things, state, strict=True):
            draw_shape(canvas, thing.shape, thing.colour, x, y, thing.r, angle)
        yield canvas.pixels()


def random_background(rng: np.random.Generator) -> Colour:
    """Draws the dark, even colour of a table, as the stills have it."""
    level = int(rng.integers(15, 95))
    red, green, blue = (int(np.clip(level + t, 0, 255)) for t in rng.integers(-8, 9, size=3))
    return red, green, blue


def _add(space: pymunk.Space, thing: Thing, index: int) -> pymunk.Body:
    r = thing.r * _UNIT
    mass = 1.0
    body = pymunk.Body(mass, pymunk.moment_for_circle(mass, 0, r))
    body.position = thing.x * _UNIT, thing.y * _UNIT
    body.angle = thing.angle
    body.velocity = thing.vx * _UNIT, thing.vy * _UNIT
    # outlines as draw_shape has them
    outlines: list[pymunk.Shape]
    if thing.shape in ("circle", "ring"):
        outlines = [pymunk.Circle(body, r * (0.92 if thing.shape == "circle" else 0.95))]
    elif thing.shape == "cross":
        w = 0.32 * r
        outlines = [
            pymunk.Poly(body, [(-a, -b), (a, -b), (a, b), (-a, b)]) for a, b in ((r, w), (w, r))
        ]
    else:
        n, turn = (4, math.pi / 4) if thing.shape == "square" else (3, -math.pi / 2)
        angles = [turn + 2 * math.pi * k / n for k in range(n)]
        outlines = [pymunk.Poly(body, [(r * math.cos(a), r * math.sin(a)) for a in angles])]
    for outline in outlines:
        outline.elasticity = 0.95
        outline.friction = 0.2
        outline.collision_type = index + 1  # 0 is the type of shapes without one
        outline.filter = pymunk.ShapeFilter(group=index + 1)
    space.add(body, *outlines)
    return body
