"""`ego`: a camera travels over a floor with landmarks; asked is what was passed when (as qaEgo4D).

The floor is larger than the frame. The camera's path bends from landmark to landmark, at random and
alike in both directions of time, so that one frame can't tell which of two landmarks came first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from mtrans.core.records import Fact
from mtrans.video.worlds import language as words
from mtrans.video.worlds.canvas import Canvas, Colour
from mtrans.video.worlds.clip import ClipQuestion, WorldClip
from mtrans.video.worlds.dynamics import random_background
from mtrans.video.worlds.language import pick
from mtrans.video.worlds.shapes import COLOURS, SHAPES, draw_shape
from mtrans.video.worlds.stills import Placed

LANDMARKS = (3, 4, 5)
SPACING = (0.62, 0.74)
"""Way from one landmark to the next, in frames: between two, both are partly in view."""
PASSED = 0.3
"""Nearer than this to the middle of the view, a landmark has been passed."""


@dataclass(frozen=True)
class EgoScene:
    """A clip before it is drawn.

    Attributes:
        landmarks: In the order of passing; places on the floor, in frames.
        camera: float64[T, 2], the middle of the view on the floor.
        fps: Frames a second.
        questions: What is asked.
        facts: What is known of it.
    """

    landmarks: tuple[Placed, ...]
    camera: np.ndarray
    fps: float
    questions: tuple[ClipQuestion, ...]
    facts: dict[str, Fact]


def generate(
    rng: np.random.Generator, *, size: int = 64, fps: float = 6.0, seconds: float | None = None
) -> WorldClip:
    """Generates a clip; see :class:`mtrans.video.worlds.clip.World`."""
    scene = make_scene(rng, fps=fps, seconds=seconds)
    frames = render(scene, rng, size=size)
    return WorldClip(frames, fps, scene.questions, scene.facts)


def make_scene(
    rng: np.random.Generator, *, fps: float = 6.0, seconds: float | None = None
) -> EgoScene:
    """Lays out floor and path and asks about them, without drawing.

    Args:
        rng: Source of all randomness.
        fps: Frames a second.
        seconds: Length; None draws 7 to 9 s.

    Returns:
        The scene with its questions.
    """
    length = float(rng.uniform(7, 9)) if seconds is None else seconds
    frames = max(8, round(length * fps))
    n = int(pick(rng, LANDMARKS))
    pairs = [(c, s) for c in COLOURS for s in SHAPES]
    looks = [pairs[i] for i in rng.permutation(len(pairs))[:n]]
    while True:
        camera, landmarks = _lay_out(rng, looks, frames)
        order = passing_order(camera, landmarks)
        if order is not None:
            break
    passed = tuple(landmarks[i] for i in order)
    facts = _facts(passed, camera, fps)
    return EgoScene(passed, camera, fps, tuple(_questions(rng, passed)), facts)


def passing_order(camera: np.ndarray, landmarks: list[Placed]) -> list[int] | None:
    """Returns the landmarks' indices by the time of nearest approach.

    Args:
        camera: float64[T, 2].
        landmarks: Places on the floor.

    Returns:
        The order; None where it isn't clear: a landmark is only seen in the corner of the eye, or
        comes into view again later.
    """
    places = np.array([(o.x, o.y) for o in landmarks])
    offset = np.abs(places[None] - camera[:, None]).max(axis=-1)
    nearest = offset.argmin(axis=0)
    near = offset < PASSED
    if not near.any(axis=0).all() or len(set(nearest)) < len(nearest):
        return None
    # each is in view for one stretch of time
    shown = (offset < 0.5).astype(int)
    if (np.diff(shown, axis=0, prepend=0) == 1).sum(axis=0).max() > 1:
        return None
    return [int(i) for i in np.argsort(nearest)]


def render(scene: EgoScene, rng: np.random.Generator, *, size: int) -> Iterator[np.ndarray]:
    """Draws what the camera sees, frame by frame.

    Args:
        scene: Floor and path.
        rng: Source of the floor's colour and marks.
        size: Height and width in pixels.

    Yields:
        uint8[H, W, 3]
    """
    floor = random_background(rng)
    red, green, blue = (min(255, c + int(rng.integers(8, 16))) for c in floor)
    mark: Colour = (red, green, blue)
    marks = _marks(rng, scene.camera)
    for x0, y0 in scene.camera - 0.5:
        canvas = Canvas(size, background=floor)
        seen = marks[np.all(np.abs(marks[:, :2] - (x0 + 0.5, y0 + 0.5)) < 0.7, axis=1)]
        for x, y, r in seen:
            canvas.circle(x - x0, y - y0, r, mark)
        for o in scene.landmarks:
            draw_shape(canvas, o.shape, o.colour, o.x - x0, o.y - y0, o.r, o.angle)
        yield canvas.pixels()


def _lay_out(
    rng: np.random.Generator, looks: list[tuple[str, str]], frames: int
) -> tuple[np.ndarray, list[Placed]]:
    n = len(looks)
    # one stretch of path more at either end: the clip starts and stops on the way
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.uniform(-0.6, 0.6, size=n + 1))
    steps = rng.uniform(*SPACING, size=(n + 1, 1))
    legs = steps * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(legs, axis=0)])
    moments = (np.arange(n + 2) - 0.5) / n
    moments[1:-1] += rng.uniform(-0.12, 0.12, size=n) / n
    path = CubicSpline(moments, points)
    camera = path(np.arange(frames) / frames)
    landmarks = []
    for (x, y), (colour, shape) in zip(points[1:-1], looks, strict=True):
        dx, dy = rng.uniform(-0.12, 0.12, size=2)
        r, angle = float(rng.uniform(0.12, 0.17)), float(rng.uniform(-0.3, 0.3))
        landmarks.append(Placed(colour, shape, float(x + dx), float(y + dy), r, angle))
    return camera, landmarks


def _questions(rng: np.random.Generator, passed: tuple[Placed, ...]) -> list[ClipQuestion]:
    n = len(passed)
    after, before = int(rng.integers(n - 1)), int(rng.integers(1, n))
    text_after = words.Q_PASS_AFTER.format(object=passed[after].name)
    text_before = words.Q_PASS_BEFORE.format(object=passed[before].name)
    return [
        ClipQuestion("pass_after", text_after, passed[after + 1].name),
        ClipQuestion("pass_before", text_before, passed[before - 1].name),
        ClipQuestion("pass_first", words.Q_PASS_FIRST, passed[0].name),
        ClipQuestion("pass_last", words.Q_PASS_LAST, passed[-1].name),
        ClipQuestion("pass_count", words.Q_PASS_COUNT, words.NUMBERS[n]),
    ]


def _marks(rng: np.random.Generator, camera: np.ndarray) -> np.ndarray:
    """Scatters faint spots, float64[M, 3] of x, y, radius, so that an empty floor moves too."""
    low, high = camera.min(axis=0) - 0.6, camera.max(axis=0) + 0.6
    xs, ys = (np.arange(a, b, 0.3) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    grid += rng.uniform(-0.1, 0.1, size=grid.shape)
    return np.concatenate([grid, rng.uniform(0.02, 0.045, size=(len(grid), 1))], axis=1)


def _facts(landmarks: tuple[Placed, ...], camera: np.ndarray, fps: float) -> dict[str, Fact]:
    places, radii = np.array([(o.x, o.y) for o in landmarks]), np.array([o.r for o in landmarks])
    offset = np.abs(places[None] - camera[:, None]).max(axis=-1)
    in_view, whole = offset < 0.5 + radii, offset < 0.5 - radii
    way = np.linalg.norm(np.diff(camera, axis=0), axis=1).sum()
    return {
        "objects": len(landmarks),
        "landmarks": len(landmarks),
        "seconds": round(len(camera) / fps, 3),
        "frames": len(camera),
        "speed": round(float(way * fps / (len(camera) - 1)), 3),
        # share of a landmark's time in view during which the frame's edge cuts it
        "occlusion": round(float(1 - whole.sum() / in_view.sum()), 3),
    }
