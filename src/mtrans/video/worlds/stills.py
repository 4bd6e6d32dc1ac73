"""Rendered still images with dense truth: what the embedded `tiny` model has seen of the world.

Three kinds of picture share the worlds' things and words: coloured shapes, a person's face, and a
kitchen board. Each comes with a caption that names everything in it, typed questions with answers,
and the attributes that lie under every patch. No still says anything about motion.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mtrans.video.worlds import language as words
from mtrans.video.worlds.canvas import Canvas
from mtrans.video.worlds.face import EXPRESSIONS, GAZES, Pose, draw_face, random_look
from mtrans.video.worlds.food import ACTIONS, FOODS, TOOLS, draw_food, draw_tool
from mtrans.video.worlds.language import pick
from mtrans.video.worlds.shapes import COLOURS, SHAPES, draw_shape

ATTRIBUTES: tuple[str, ...] = (
    *COLOURS, *SHAPES, "face", "eyes", *(f"look_{g}" for g in GAZES), "mouth", "open",
    *EXPRESSIONS, "hand", *FOODS, *TOOLS, "centre",
)  # fmt: skip
"""What a patch can show; the ViT's dense targets are multi-hot over these."""

KINDS = ("shapes", "face", "kitchen")

APART = 0.2
"""Relations are asked of things whose centres lie further apart than this fraction of the frame;
nearer than that, things of these sizes overlap along the axis."""


@dataclass(frozen=True)
class Question:
    """A question about a still.

    Attributes:
        type: Its type, for break-downs.
        text: The question.
        answer: The right answer.
        context: Words said before the question, if any.
    """

    type: str
    text: str
    answer: str
    context: str = ""


@dataclass(frozen=True)
class Still:
    """A picture with its truth.

    Attributes:
        pixels: uint8[H, W, 3].
        patches: uint8[G, G, A], which of the A :data:`ATTRIBUTES` lie under each of G x G patches.
        kind: One of :data:`KINDS`.
        caption: Names everything in it.
        questions: Several, of different types.
    """

    pixels: np.ndarray
    patches: np.ndarray
    kind: str
    caption: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Placed:
    """A shape at a place."""

    colour: str
    shape: str
    x: float
    y: float
    r: float
    angle: float

    @property
    def name(self) -> str:
        """How it is called: ``"red circle"``."""
        return f"{self.colour} {self.shape}"


def make_still(rng: np.random.Generator, kind: str, *, size: int = 64, grid: int = 8) -> Still:
    """Draws a random still.

    Args:
        rng: Source of all randomness.
        kind: One of :data:`KINDS`.
        size: Height and width in pixels.
        grid: Patches along each axis.

    Returns:
        The picture with its truth.
    """
    level = int(rng.integers(15, 95))
    tint = rng.integers(-8, 9, size=3)
    background = tuple(int(np.clip(level + t, 0, 255)) for t in tint)
    canvas = Canvas(size, background=background, labelled=True)  # type: ignore[arg-type]
    make = {"shapes": _shapes, "face": _face, "kitchen": _kitchen}[kind]
    centres, caption, questions = make(rng, canvas)
    patches = _patch_attributes(canvas, centres, grid)
    return Still(_compress(rng, canvas.pixels()), patches, kind, caption, tuple(questions))


def position_word(x: float, y: float) -> str:
    """Names the quarter of the frame: ``"top left"``."""
    return f"{'top' if y < 0.5 else 'bottom'} {'left' if x < 0.5 else 'right'}"


def sixth_word(x: float) -> str:
    """Names the sixth of the frame at 0 <= x < 1, from the left or the top: ``"two"``."""
    return words.NUMBERS[1 + int(6 * x)]


def is_clear(x: float, parts: int, margin: float) -> bool:
    """Says whether x is further than `margin` from every inner border of so many equal parts."""
    nearest = min(max(1, round(x * parts)), parts - 1) / parts
    return abs(x - nearest) > margin


def place_shapes(rng: np.random.Generator, n: int, *, margin: float = 0.1) -> list[Placed]:
    """Places n shapes of different (colour, shape) that do not overlap, in reading order."""
    pairs = [(c, s) for c in COLOURS for s in SHAPES]
    chosen = rng.permutation(len(pairs))
    placed: list[Placed] = []
    largest = 0.17 if n <= 3 else 0.14
    while len(placed) < n:
        colour, shape = pairs[chosen[len(placed)]]
        for _ in range(60):
            x, y = rng.uniform(margin, 1 - margin, size=2)
            r = float(rng.uniform(0.085, largest))
            if all(np.hypot(x - o.x, y - o.y) > r + o.r + 0.02 for o in placed):
                angle = float(rng.uniform(-0.3, 0.3))
                placed.append(Placed(colour, shape, float(x), float(y), r, angle))
                break
        else:  # the picture is too full: start again
            placed.clear()
    return sorted(placed, key=lambda o: (o.y >= 0.5, o.x))


def _shapes(rng: np.random.Generator, canvas: Canvas):
    objects = place_shapes(rng, int(rng.integers(1, 6)))
    for o in objects:
        draw_shape(canvas, o.shape, o.colour, o.x, o.y, o.r, o.angle)
    caption = ", ".join(f"a {o.name} at the {position_word(o.x, o.y)}" for o in objects) + "."
    return [(o.x, o.y) for o in objects], caption, shape_questions(rng, objects)


def shape_questions(rng: np.random.Generator, objects: list[Placed]) -> list[Question]:
    """Asks one question of each type that the picture allows.

    Answers are balanced by construction: yes and no are drawn before the question is made.
    """
    asked = [Question("count", words.Q_COUNT, words.NUMBERS[len(objects)])]
    colours = [o.colour for o in objects]
    shapes = [o.shape for o in objects]
    if lone := [o for o in objects if shapes.count(o.shape) == 1]:
        o = pick(rng, lone)
        asked.append(Question("colour", words.Q_COLOUR.format(shape=o.shape), o.colour))
    if lone := [o for o in objects if colours.count(o.colour) == 1]:
        o = pick(rng, lone)
        asked.append(Question("shape", words.Q_SHAPE.format(colour=o.colour), o.shape))
    if clear := [o for o in objects if is_clear(o.x, 2, 0.05) and is_clear(o.y, 2, 0.05)]:
        o = pick(rng, clear)
        text = words.Q_POSITION.format(object=o.name)
        asked.append(Question("position", text, position_word(o.x, o.y)))
    asked.extend(_relation(rng, objects))
    asked.extend(_sixth(rng, objects))
    asked.append(_existence(rng, objects))
    return asked


def _sixth(rng: np.random.Generator, objects: list[Placed]) -> list[Question]:
    """Asks for a column and a row: the fine sense of place that motion will be read from."""
    asked = []
    if clear := [o for o in objects if is_clear(o.x, 6, 0.02)]:
        o = pick(rng, clear)
        asked.append(Question("column", words.Q_COLUMN.format(object=o.name), sixth_word(o.x)))
    if clear := [o for o in objects if is_clear(o.y, 6, 0.02)]:
        o = pick(rng, clear)
        asked.append(Question("row", words.Q_ROW.format(object=o.name), sixth_word(o.y)))
    return asked


def _relation(rng: np.random.Generator, objects: list[Placed]) -> list[Question]:
    if len(objects) < 2:
        return []
    a, b = (objects[i] for i in rng.permutation(len(objects))[:2])
    horizontal = abs(a.x - b.x) > APART
    vertical = abs(a.y - b.y) > APART
    if not (horizontal or vertical):
        return []
    if horizontal and (not vertical or rng.random() < 0.5):
        true, false = ("left of", "right of") if a.x < b.x else ("right of", "left of")
    else:
        true, false = ("above", "below") if a.y < b.y else ("below", "above")
    yes = rng.random() < 0.5
    text = words.Q_RELATION.format(first=a.name, relation=true if yes else false, second=b.name)
    return [Question("relation", text, "yes" if yes else "no")]


def _existence(rng: np.random.Generator, objects: list[Placed]) -> Question:
    names = {o.name for o in objects}
    if rng.random() < 0.5:
        return Question(
            "existence", words.Q_EXISTENCE.format(object=pick(rng, objects).name), "yes"
        )
    # hard negatives: a colour or a shape that is there, in a pair that is not
    while True:
        colour, shape = pick(rng, tuple(COLOURS)), pick(rng, SHAPES)
        if rng.random() < 0.75:
            o = pick(rng, objects)
            colour, shape = (o.colour, shape) if rng.random() < 0.5 else (colour, o.shape)
        if f"{colour} {shape}" not in names:
            break
    return Question("existence", words.Q_EXISTENCE.format(object=f"{colour} {shape}"), "no")


def _face(rng: np.random.Generator, canvas: Canvas):
    expression = int(rng.integers(3))
    valence = (rng.uniform(0.5, 1), rng.uniform(-0.2, 0.2), rng.uniform(-1, -0.5))[expression]
    gaze, is_open, hand = int(rng.integers(3)), bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    pose = Pose(
        valence=float(valence),
        gaze=gaze - 1.0,
        mouth_open=float(rng.uniform(0.35, 1.0)) if is_open else 0.0,
        hand=float(rng.uniform(0.55, 1.0)) if hand else 0.0,
    )
    x, y = rng.uniform(0.45, 0.55), rng.uniform(0.42, 0.52)
    draw_face(canvas, random_look(rng), pose, float(x), float(y), float(rng.uniform(0.85, 1.1)))
    look, eyes = EXPRESSIONS[expression], GAZES[gaze]
    caption = f"a person looks {look}, eyes point {eyes}, mouth {'open' if is_open else 'shut'}"
    caption += ", hand raised." if hand else "."
    asked = [
        Question("expression", words.Q_EXPRESSION, look),
        Question("gaze", words.Q_GAZE, eyes),
        Question("hand", words.Q_HAND, "yes" if hand else "no"),
        Question("mouth", words.Q_MOUTH, "yes" if is_open else "no"),
    ]
    if look != "neutral":
        positive = bool(rng.random() < 0.5)
        said = words.literal_sentence(rng, positive, pick(rng, words.THINGS))
        said = f"{pick(rng, words.NAMES)}: {said}"
        fits = "yes" if positive == (look == "happy") else "no"
        asked.append(Question("match", words.Q_MATCH, fits, said))
    return [(float(x), float(y))], caption, asked


def _kitchen(rng: np.random.Generator, canvas: Canvas):
    food, tool = pick(rng, FOODS), pick(rng, TOOLS)
    x, y = rng.uniform(0.35, 0.65), rng.uniform(0.55, 0.75)
    r = float(rng.uniform(0.17, 0.24))
    tx, ty = x + rng.uniform(-0.15, 0.15), y - rng.uniform(0.2, 0.35)
    canvas.polygon(
        [(0.05, 0.4), (0.95, 0.4), (1.0, 1.0), (0.0, 1.0)],
        (120, 88, 58) if rng.random() < 0.5 else (96, 104, 108),
    )
    draw_food(canvas, food, float(x), float(y), r)
    draw_tool(
        canvas,
        tool,
        float(tx),
        float(ty),
        float(rng.uniform(0.2, 0.28)),
        float(rng.uniform(-0.4, 0.4)),
    )
    action = ACTIONS[tool]
    asked = [
        Question("food", words.Q_FOOD, food),
        Question("tool", words.Q_TOOL, tool),
        Question("action", words.Q_ACTION.format(food=food), action),
    ]
    caption = f"a {tool} and a {food}, {words.step_text(action, food)}."
    return [(float(x), float(y))], caption, asked


def _patch_attributes(canvas: Canvas, centres, grid: int) -> np.ndarray:
    labels = canvas.label_map()
    step = labels.shape[0] // grid
    tiles = labels.reshape(grid, step, grid, step).swapaxes(1, 2).reshape(grid * grid, -1)
    patches = np.zeros((grid * grid, len(ATTRIBUTES)), np.uint8)
    index = {name: k for k, name in enumerate(ATTRIBUTES)}
    for label_id, attributes in enumerate(canvas.labels):
        covered = (tiles == label_id).mean(axis=1) > 0.1
        for name in attributes:
            patches[covered, index[name]] = 1
    for x, y in centres:
        column, row = (min(grid - 1, max(0, int(v * grid))) for v in (x, y))
        patches[row * grid + column, index["centre"]] = 1
    return patches.reshape(grid, grid, -1)


def _compress(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Passes half of the pictures through JPEG: frames of a video carry such traces too."""
    if rng.random() < 0.5:
        return pixels
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(60, 96)))
    return np.asarray(Image.open(buffer))
