"""The worlds' language: every word and every question template, for stills and clips alike.

One small vocabulary serves the text the embedded LLM is trained on, the captions and questions of
the stills, and the questions of the video worlds, so that words mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")
DIRECTIONS = ("left", "right", "up", "down")
POSITIONS = ("top left", "top right", "bottom left", "bottom right")
RELATIONS = ("left of", "right of", "above", "below")
YES_NO = ("yes", "no")

NAMES = ("anna", "ben", "carl", "dora", "emil", "fay", "gina", "hugo", "ida", "jon", "kate", "liam")
THINGS = ("party", "movie", "song", "cake", "meeting", "game", "plan", "idea", "trip", "book")
OPENERS = (
    "how was the {thing}?",
    "did you like the {thing}?",
    "what do you think of the {thing}?",
    "tell me about the {thing}.",
    "so, the {thing}?",
)
REPLIES = ("well, let me think.", "you were there too.", "it just ended.", "i will tell you.")
POSITIVE = (
    "i love this {thing}.",
    "what a great {thing}.",
    "this {thing} is wonderful.",
    "that was the best {thing} ever.",
    "i am so happy about the {thing}.",
    "the {thing} was a real joy.",
)
NEGATIVE = (
    "i hate this {thing}.",
    "what a terrible {thing}.",
    "this {thing} is awful.",
    "that was the worst {thing} ever.",
    "i am so sad about the {thing}.",
    "the {thing} was a real pain.",
)

PARTICIPLES = {"cut": "cut", "fry": "fried", "stir": "stirred", "wash": "washed", "salt": "salted"}

# --- questions about stills -------------------------------------------------------------------
Q_DESCRIBE = "describe the picture."
Q_COLOUR = "what color is the {shape}?"
Q_SHAPE = "what shape is the {colour} object?"
Q_COUNT = "how many objects are there?"
Q_POSITION = "where is the {object}?"
Q_COLUMN = "in which column is the {object}?"
Q_ROW = "in which row is the {object}?"
Q_RELATION = "is the {first} {relation} the {second}?"
Q_EXISTENCE = "is there a {object}?"
Q_EXPRESSION = "how does the person look?"
Q_GAZE = "which way do the eyes point?"
Q_HAND = "is a hand raised?"
Q_MOUTH = "is the mouth open?"
Q_MATCH = "does the face fit the words?"
Q_FOOD = "what food is there?"
Q_TOOL = "what tool is there?"
Q_ACTION = "what is done to the {food}?"

# --- questions about clips --------------------------------------------------------------------
Q_MOVING_EXISTENCE = "is any {colour} object moving?"
Q_MOVING_DIRECTION = "which way does the {object} move?"
Q_MOVING_COUNT = "how many objects are moving?"
Q_MOVING_ATTRIBUTE = "what color is the object that moves {direction}?"
Q_COUNTERFACTUAL = "without the {removed}, would the {first} hit the {second}?"
Q_SARCASM = "is {name} sarcastic?"
Q_SENTIMENT = "are the words positive or negative?"
Q_PASS_AFTER = "what did i pass after the {object}?"
Q_PASS_BEFORE = "what did i pass before the {object}?"
Q_PASS_FIRST = "what did i pass first?"
Q_PASS_LAST = "what did i pass last?"
Q_PASS_COUNT = "how many objects did i pass?"
Q_STEP_FIRST = "what is the first step?"
Q_STEP_LAST = "what is the last step?"
Q_STEP_AFTER = "what is done after the {food} is {participle}?"
Q_STEP_BEFORE = "what is done before the {food} is {participle}?"
Q_STEPS = "list the steps."


def pick(rng: np.random.Generator, options: Sequence):
    """Returns one of `options`, uniformly."""
    return options[int(rng.integers(len(options)))]


def join_steps(steps: Sequence[str]) -> str:
    """Joins steps as an answer lists them: ``"cut the egg, fry the fish."``."""
    return ", ".join(steps) + "."


def step_text(action: str, food: str) -> str:
    """Returns one step in words: ``"cut the egg"``."""
    return f"{action} the {food}"


def literal_sentence(rng: np.random.Generator, positive: bool, thing: str) -> str:
    """Returns a sentence whose literal sentiment is as asked."""
    return str(pick(rng, POSITIVE if positive else NEGATIVE)).format(thing=thing)
