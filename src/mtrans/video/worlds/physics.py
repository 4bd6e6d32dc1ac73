"""`physics`: rigid bodies that rest, move, enter, leave and collide (CLEVRER's questions in small).

Two kinds of clip:

- *motion*: nothing touches. Everything about the clip's middle frame (who is where, in which colour
  and shape) is drawn first and accepted for its own sake; who moves, and where to, is drawn after
  and runs through that frame. So the middle frame says nothing about motion.
- *collision*: a body runs into others. Asked is what would have happened without one of them; the
  answer is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from mtrans.core.records import Fact
from mtrans.video.worlds import language as words
from mtrans.video.worlds.clip import ClipQuestion, WorldClip
from mtrans.video.worlds.dynamics import Thing, Track, random_background, render, simulate
from mtrans.video.worlds.language import DIRECTIONS, NUMBERS, YES_NO, pick
from mtrans.video.worlds.shapes import COLOURS, SHAPES

T = TypeVar("T")

SECONDS = 3.0
COLLISION_SHARE = 0.3
STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
GAP = 0.2
"""Room between any two things in the middle of a motion clip, as a fraction of the frame."""
MOVES = 0.12
"""What goes further than this (fraction of the frame) while in view is moving; the rest rests."""


@dataclass(frozen=True)
class Scene:
    """A clip before it is drawn.

    Attributes:
        things: The bodies at the start.
        track: Where they went.
        fps: Frames a second.
        questions: What is asked.
        facts: What is known of it.
    """

    things: tuple[Thing, ...]
    track: Track
    fps: float
    questions: tuple[ClipQuestion, ...]
    facts: dict[str, Fact]


def generate(
    rng: np.random.Generator, *, size: int = 64, fps: float = 8.0, seconds: float | None = None
) -> WorldClip:
    """Generates a clip; see :class:`mtrans.video.worlds.clip.World`."""
    scene = make_scene(rng, fps=fps, seconds=seconds)
    background = random_background(rng)
    frames = render(scene.things, scene.track, size=size, background=background)
    return WorldClip(frames, fps, scene.questions, scene.facts)


def make_scene(
    rng: np.random.Generator, *, fps: float = 8.0, seconds: float | None = None
) -> Scene:
    """Simulates a clip and asks about it, without drawing.

    Args:
        rng: Source of all randomness.
        fps: Frames a second.
        seconds: Length; None is 3 s.

    Returns:
        The scene with its questions.
    """
    frames = max(4, round((seconds or SECONDS) * fps))
    if rng.random() < COLLISION_SHARE:
        things, track, questions = _collision_clip(rng, frames, fps)
    else:
        things, track, questions = _motion_clip(rng, frames, fps)
    return Scene(tuple(things), track, fps, tuple(questions), _facts(things, track, fps))


def direction_of(displacement: np.ndarray) -> str | None:
    """Names the direction of a displacement float64[2]; None where it rests or runs askew."""
    x, y = (float(v) for v in displacement)
    long, short = max(abs(x), abs(y)), min(abs(x), abs(y))
    if long < MOVES or short > 0.4 * long:
        return None
    if abs(x) > abs(y):
        return "left" if x < 0 else "right"
    return "up" if y < 0 else "down"


# --- motion clips -------------------------------------------------------------------------------


def _motion_clip(rng: np.random.Generator, frames: int, fps: float):
    # How many move must not depend on how many there are.
    ask_count = rng.random() < 0.65
    moving = int(rng.integers(4)) if ask_count else int(rng.integers(1, 4))
    still = place_things(rng, int(rng.choice((4, 4, 4, 5, 5, 3))))
    middle = (frames / 2) / fps
    movers = rng.permutation(len(still))[:moving]
    headings = {int(i): pick(rng, DIRECTIONS) for i in movers}
    for attempt in range(40):
        # A hindered pair gets slower, which the middle frame doesn't show. Only where that doesn't
        # help are directions drawn again.
        if attempt and attempt % 8 == 0:
            headings = {i: pick(rng, DIRECTIONS) for i in headings}
        slow = 1 - 0.05 * (attempt % 8)
        things = list(still)
        for i, heading in headings.items():
            travel = rng.uniform(0.28, 0.42) * slow
            aim = np.array(STEPS[heading]) @ _turn(rng.uniform(-0.12, 0.12))
            vx, vy = aim * travel / (frames / fps)
            o = still[i]
            things[i] = replace(o, x=o.x - vx * middle, y=o.y - vy * middle, vx=vx, vy=vy)
        if _apart(things):
            track = simulate(things, frames=frames, fps=fps)
            if not track.contacts:
                return things, track, motion_questions(rng, things, track, ask_count)
    return _motion_clip(rng, frames, fps)


def place_things(rng: np.random.Generator, n: int) -> list[Thing]:
    """Places n resting things of different colours with :data:`GAP` between any two."""
    colours = rng.permutation(list(COLOURS))
    while True:
        placed: list[Thing] = []
        for k in range(n):
            r = float(rng.uniform(0.085, 0.13 if n < 4 else 0.11))
            for _ in range(30):
                x, y = (float(v) for v in rng.uniform(0.07, 0.93, size=2))
                if all(np.hypot(x - o.x, y - o.y) > r + o.r + GAP for o in placed):
                    angle = float(rng.uniform(-0.3, 0.3))
                    placed.append(Thing(str(colours[k]), pick(rng, SHAPES), x, y, r, angle))
                    break
        if len(placed) == n:
            # the last ones found less room: their index must not tell
            return [placed[i] for i in rng.permutation(n)]


def motion_questions(
    rng: np.random.Generator, things: list[Thing], track: Track, ask_count: bool
) -> list[ClipQuestion]:
    """Asks about a clip in which nothing touches; truth is taken from the track."""
    headings = [direction_of(track.displacement(i, o.r)) for i, o in enumerate(things)]
    movers = [i for i, h in enumerate(headings) if h]
    resting = [i for i, h in enumerate(headings) if not h]
    asked: list[ClipQuestion] = []
    if movers and resting:
        # one yes and one no; without movers every answer would be no, so nothing is asked
        pairs = [("yes", pick(rng, movers)), ("no", pick(rng, resting))]
        for answer, i in (pairs[k] for k in rng.permutation(2)):
            text = words.Q_MOVING_EXISTENCE.format(colour=things[i].colour)
            asked.append(ClipQuestion("object_existence", text, answer, YES_NO))
    for i in rng.permutation(movers)[:2]:
        text = words.Q_MOVING_DIRECTION.format(object=things[i].name)
        asked.append(ClipQuestion("moving_direction", text, str(headings[i]), DIRECTIONS))
    if ask_count:
        answer = NUMBERS[len(movers)]
        asked.append(ClipQuestion("moving_count", words.Q_MOVING_COUNT, answer, NUMBERS[:4]))
    alone = [i for i in movers if headings.count(headings[i]) == 1]
    for i in rng.permutation(alone)[: 2 if len(things) >= 4 else 0]:
        others = rng.permutation([o.colour for o in things if o is not things[i]])[:3]
        choices = tuple(str(c) for c in rng.permutation([things[i].colour, *others]))
        text = words.Q_MOVING_ATTRIBUTE.format(direction=headings[i])
        asked.append(ClipQuestion("moving_attribute", text, things[i].colour, choices))
    return asked


# --- collision clips ----------------------------------------------------------------------------


def _collision_clip(rng: np.random.Generator, frames: int, fps: float):
    # What happened must not tell what would have happened: of the four cases one is drawn first.
    happened, would = bool(rng.integers(2)), bool(rng.integers(2))
    while True:
        things = _lane(rng, happened, would, frames / fps)
        if not _apart(things):
            continue
        drag = 0.0 if rng.random() < 0.5 else 0.15
        track = simulate(things, frames=frames, fps=fps, drag=drag)
        cases = _cases(things, track, frames, fps, drag)
        same = [c for c in cases if (c[3], c[4]) == (happened, would)]
        other = [c for c in cases if c[4] != would]
        if same and other:
            break
    # as many yes as no
    asked = []
    for mine, theirs in list(zip(_shuffled(rng, same), _shuffled(rng, other), strict=False))[:2]:
        for removed, first, second, _, answer in (mine, theirs):
            text = words.Q_COUNTERFACTUAL.format(
                removed=things[removed].name, first=things[first].name, second=things[second].name
            )
            asked.append(ClipQuestion("counterfactual", text, "yes" if answer else "no", YES_NO))
    return things, track, _shuffled(rng, asked)


def _lane(rng: np.random.Generator, happened: bool, would: bool, seconds: float) -> list[Thing]:
    """Puts three things in a row, the first of which runs at the second; others lie about.

    Without the second, the first hits the third, if that is in its lane; with it, the second does.
    """
    n = int(rng.integers(3, 6))
    chosen = rng.permutation(list(COLOURS))[:n]
    side = 0.0 if rng.random() < 0.6 or happened or not would else float(rng.uniform(0.2, 0.3))
    side = float(rng.uniform(0.24, 0.34)) if not happened and not would else side
    lane = rng.uniform(0.3, 0.7)
    along = (rng.uniform(0.02, 0.14), rng.uniform(0.42, 0.54), rng.uniform(0.8, 0.9))
    across = (0.0, rng.uniform(-0.03, 0.03), side * rng.choice((-1, 1)) + rng.uniform(-0.03, 0.03))
    speed = rng.uniform(0.85, 1.1) / seconds
    flip, swap = rng.random() < 0.5, rng.random() < 0.5
    things: list[Thing] = []
    for k in range(n):
        a, b = (along[k], lane + across[k]) if k < 3 else rng.uniform(0.1, 0.9, size=2)
        a, v = (1 - a, -speed) if flip else (a, speed)
        v = v if k == 0 else 0.0
        x, y, vx, vy = (b, a, 0.0, v) if swap else (a, b, v, 0.0)
        r, angle = float(rng.uniform(0.085, 0.115)), float(rng.uniform(-0.3, 0.3))
        shape = pick(rng, SHAPES)
        things.append(Thing(str(chosen[k]), shape, float(x), float(y), r, angle, vx, vy))
    return things


def _cases(things: list[Thing], track: Track, frames: int, fps: float, drag: float):
    """Lists (removed, first, second, they touched, they would touch) that are worth asking."""
    n = len(things)
    cases = []
    involved = {i for pair in track.contacts for i in pair}
    for removed in range(n):
        rerun = simulate(things, frames=frames, fps=fps, drag=drag, removed=removed)
        for a in range(n):
            for b in range(a + 1, n):
                if removed in (a, b) or not {a, b} & involved:
                    continue
                # the one that moves first is named first: the lane's runner, then what it hits
                pair = (a, b)
                cases.append((removed, a, b, pair in track.contacts, pair in rerun.contacts))
    return cases


# --- both ---------------------------------------------------------------------------------------


def _shuffled(rng: np.random.Generator, items: list[T]) -> list[T]:
    return [items[i] for i in rng.permutation(len(items))]


def _turn(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def _apart(things: list[Thing]) -> bool:
    """Says whether no two things touch at the start."""
    return all(
        np.hypot(a.x - b.x, a.y - b.y) > a.r + b.r + 0.01
        for i, a in enumerate(things)
        for b in things[:i]
    )


def _facts(things: list[Thing], track: Track, fps: float) -> dict[str, Fact]:
    places = track.states[:, :, :2]
    radii = np.array([o.r for o in things])
    frames = len(places)
    distance = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    i, j = np.triu_indices(len(things), 1)
    overlap = (radii[i] + radii[j] - distance[:, i, j]) / (2 * np.minimum(radii[i], radii[j]))
    moved = [track.displacement(k, o.r) for k, o in enumerate(things)]
    moving = [k for k, d in enumerate(moved) if np.abs(d).max() > MOVES]
    paths = np.linalg.norm(np.diff(places, axis=0), axis=-1).sum(axis=0)
    speed = float(paths[moving].mean() * fps / (frames - 1)) if moving else 0.0
    return {
        "objects": len(things),
        "moving": len(moving),
        "collisions": len(track.contacts),
        "seconds": round(frames / fps, 3),
        "frames": frames,
        "speed": round(speed, 3),
        "occlusion": round(float(np.clip(overlap, 0, 1).max()), 3),
    }
