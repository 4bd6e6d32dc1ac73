"""The world `kitchen`: a procedure of three or four steps, each an action on another food.

    | cut the egg | fry the fish | wash the tomato |      "what is done after the fish is fried?"

One tool stands for one action and moves as that action does; board, foods and tools look as in the
stills. Foods are distinct within a clip, so "after the egg is cut" names one moment; actions are
independent of each other and of the foods. A synthetic test bench.

Guessing from the question alone is right with probability 1 in 30 (6 foods x 5 actions) for the
first and the last step, and 1 in 25 for the step after or before a food that is named, which can't
be the answer's own; the list of all steps can't be guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mtrans.core.records import Fact
from mtrans.video.worlds import language as words
from mtrans.video.worlds.canvas import Canvas, Colour
from mtrans.video.worlds.clip import ClipQuestion, WorldClip
from mtrans.video.worlds.food import ACTIONS, FOODS, TOOLS, draw_food, draw_tool
from mtrans.video.worlds.language import pick

BOARDS: tuple[Colour, ...] = ((120, 88, 58), (96, 104, 108))
CHANCE = {
    "step_first": 1 / (len(FOODS) * len(TOOLS)),
    "step_last": 1 / (len(FOODS) * len(TOOLS)),
    "step_after": 1 / ((len(FOODS) - 1) * len(TOOLS)),
    "step_before": 1 / ((len(FOODS) - 1) * len(TOOLS)),
}
"""Exact matches to be had from the question alone, by type."""

_MOVE = 0.2
"""Seconds in which a food slides in or out."""


@dataclass(frozen=True)
class Step:
    """One step of a procedure.

    Attributes:
        tool: One of :data:`TOOLS`; it stands for the action.
        food: What it is done to.
        start: When it begins, in seconds.
        end: When it ends.
        x: Where the food lies.
        y: Where the food lies.
        food_size: Half of the food's largest extent.
        tool_size: Half of the tool's largest extent.
        tilt: The tool's mean angle in radians.
        phase: Where in its cycle the motion begins, in radians.
    """

    tool: str
    food: str
    start: float
    end: float
    x: float
    y: float
    food_size: float
    tool_size: float
    tilt: float
    phase: float

    @property
    def text(self) -> str:
        """The step in words: ``"cut the egg"``."""
        return words.step_text(ACTIONS[self.tool], self.food)


@dataclass(frozen=True)
class Recipe:
    """All that decides a clip: its truth.

    Attributes:
        steps: In order; each begins where the one before ends.
        frames: Number of frames.
        fps: Frames a second.
        speed: Cycles of the tools' motion a second.
        background: Colour above the board.
        board: Colour of the board.
    """

    steps: tuple[Step, ...]
    frames: int
    fps: float
    speed: float
    background: Colour
    board: Colour


def generate(
    rng: np.random.Generator, *, size: int = 64, fps: float = 8.0, seconds: float | None = None
) -> WorldClip:
    """Generates one clip.

    Args:
        rng: Source of all randomness.
        size: Height and width in pixels.
        fps: Frames a second.
        seconds: Length; None draws 1.5 to 2 for each step.

    Returns:
        The clip with three open questions: on the first or last step, on the step after or before
        another, and the list of steps.
    """
    recipe = write_recipe(rng, fps=fps, seconds=seconds)
    tools = {s.tool for s in recipe.steps}
    facts: dict[str, Fact] = {
        "seconds": round(recipe.frames / fps, 3),
        "steps": len(recipe.steps),
        "objects": len(recipe.steps) + len(tools),
        "speed": round(recipe.speed, 3),
        "occlusion": round(_covered(recipe), 3),
        "repeated_actions": len(recipe.steps) - len(tools),
    }
    return WorldClip(
        frames=_draw(recipe, size), fps=fps, questions=_questions(rng, recipe), facts=facts
    )


def write_recipe(
    rng: np.random.Generator, *, fps: float = 8.0, seconds: float | None = None
) -> Recipe:
    """Draws all that decides what is seen.

    Args:
        rng: Source of all randomness.
        fps: Frames a second.
        seconds: Length; None draws 1.5 to 2 for each step.

    Returns:
        The clip's truth.
    """
    count = int(rng.integers(3, 5))
    lengths = rng.uniform(1.5, 2.0, count)
    if seconds is not None:
        lengths *= seconds / lengths.sum()
    borders = np.concatenate([[0.0], np.cumsum(lengths)])
    foods = [FOODS[i] for i in rng.permutation(len(FOODS))[:count]]
    steps = tuple(
        Step(
            tool=pick(rng, TOOLS),
            food=food,
            start=float(start),
            end=float(end),
            x=float(rng.uniform(0.4, 0.6)),
            y=float(rng.uniform(0.6, 0.72)),
            food_size=float(rng.uniform(0.18, 0.23)),
            tool_size=float(rng.uniform(0.21, 0.27)),
            tilt=float(rng.uniform(-0.15, 0.15)),
            phase=float(rng.uniform(0.0, 2 * math.pi)),
        )
        for food, start, end in zip(foods, borders[:-1], borders[1:], strict=True)
    )
    level, tint = int(rng.integers(15, 95)), rng.integers(-8, 9, size=3)
    red, green, blue = (int(np.clip(level + t, 0, 255)) for t in tint)
    return Recipe(
        steps=steps,
        frames=max(1, round(float(borders[-1]) * fps)),
        fps=float(fps),
        speed=float(rng.uniform(1.2, 2.4)),
        background=(red, green, blue),
        board=BOARDS[int(rng.integers(len(BOARDS)))],
    )


def tool_pose(step: Step, speed: float, time: float) -> tuple[float, float, float]:
    """Returns where a tool is: each action has a motion of its own.

    Args:
        step: The step under way.
        speed: Cycles a second.
        time: Seconds since the clip's start.

    Returns:
        Centre x, centre y, angle in radians.
    """
    phase = step.phase + 2 * math.pi * speed * (time - step.start)
    x, y, angle = step.x, step.y - 0.27, step.tilt
    swing = math.sin(phase)
    if step.tool == "knife":  # up and down, into the food
        return x, y + 0.04 + 0.12 * swing, angle
    if step.tool == "pan":  # shaken sideways
        return x + 0.13 * swing, y, angle
    if step.tool == "spoon":  # circles
        return x + 0.11 * math.cos(phase), y + 0.08 * swing, angle
    if step.tool == "shaker":  # tilts
        return x, y - 0.03, angle + 0.6 * swing
    return x, y - 0.05, 0.0  # a tap stays where it is


def _covered(recipe: Recipe) -> float:
    """Returns the share of frames in which the tool reaches over the food."""
    count = 0
    for time in (np.arange(recipe.frames) + 0.5) / recipe.fps:
        step = next((s for s in recipe.steps if time < s.end), recipe.steps[-1])
        x, y, _ = tool_pose(step, recipe.speed, float(time))
        count += math.hypot(x - step.x, y - step.y) < (step.food_size + step.tool_size) / 2
    return count / recipe.frames


def _questions(rng: np.random.Generator, recipe: Recipe) -> tuple[ClipQuestion, ...]:
    steps = recipe.steps
    if rng.integers(2):
        end = ClipQuestion("step_first", words.Q_STEP_FIRST, steps[0].text)
    else:
        end = ClipQuestion("step_last", words.Q_STEP_LAST, steps[-1].text)
    earlier = int(rng.integers(len(steps) - 1))
    if rng.integers(2):
        known, asked, kind, template = earlier, earlier + 1, "step_after", words.Q_STEP_AFTER
    else:
        known, asked, kind, template = earlier + 1, earlier, "step_before", words.Q_STEP_BEFORE
    named = steps[known]
    participle = words.PARTICIPLES[ACTIONS[named.tool]]
    text = template.format(food=named.food, participle=participle)
    return (
        end,
        ClipQuestion(kind, text, steps[asked].text),
        ClipQuestion("steps", words.Q_STEPS, words.join_steps([s.text for s in steps])),
    )


def _draw(recipe: Recipe, size: int) -> Iterator[np.ndarray]:
    """Draws the frames one by one, uint8[size, size, 3] each."""
    for index in range(recipe.frames):
        time = (index + 0.5) / recipe.fps
        step = next((s for s in recipe.steps if time < s.end), recipe.steps[-1])
        canvas = Canvas(size, background=recipe.background)
        canvas.polygon([(0.05, 0.4), (0.95, 0.4), (1.0, 1.0), (0.0, 1.0)], recipe.board)
        # a food slides in from the left and out to the right; the tool stays above meanwhile
        coming = max(0.0, 1 - (time - step.start) / _MOVE)
        going = max(0.0, 1 - (step.end - time) / _MOVE)
        x, y, angle = tool_pose(step, recipe.speed, time)
        wobble = 0.02 * math.sin(8 * time) if step.tool == "tap" else 0.0
        draw_food(
            canvas, step.food, step.x + 0.3 * (going - coming) + wobble, step.y, step.food_size
        )
        draw_tool(canvas, step.tool, x, y - 0.3 * max(coming, going), step.tool_size, angle)
        yield canvas.pixels()
