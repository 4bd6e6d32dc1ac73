"""What the embedded `tiny` model is trained on: text for its LLM, stills for its eyes.

The text is made of short descriptions followed by questions and answers, in the worlds' language.
It speaks of motion too, as the text of any language model does; no picture and no clip is behind
it. `mtrans.models.tiny.pretrain` finds this module by its import path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mtrans.video.worlds import language as words
from mtrans.video.worlds.face import EXPRESSIONS, GAZES
from mtrans.video.worlds.food import ACTIONS, FOODS, TOOLS
from mtrans.video.worlds.language import pick
from mtrans.video.worlds.shapes import COLOURS, SHAPES
from mtrans.video.worlds.stills import (
    ATTRIBUTES,
    KINDS,
    Question,
    Still,
    make_still,
    place_shapes,
    position_word,
    shape_questions,
    sixth_word,
)

__all__ = [
    "ATTRIBUTES",
    "DESCRIBE",
    "KINDS",
    "Document",
    "Still",
    "make_document",
    "make_still",
    "sentences",
]

DESCRIBE = words.Q_DESCRIBE
PAIRS = tuple(f"{c} {s}" for c in COLOURS for s in SHAPES)


@dataclass(frozen=True)
class Document:
    """A description with questions about it.

    Attributes:
        text: The description; what a picture or a clip would show, in words.
        questions: Questions that the description answers.
    """

    text: str
    questions: tuple[Question, ...]


def make_document(rng: np.random.Generator) -> Document:
    """Draws a random document."""
    kinds = (_picture, _picture, _person, _board, _motion, _motion, _talk, _walk, _recipe)
    make: Callable[[np.random.Generator], tuple[str, list[Question]]] = pick(rng, kinds)
    text, questions = make(rng)
    order = rng.permutation(len(questions))[:4]
    return Document(text, tuple(questions[i] for i in order))


def sentences() -> list[str]:
    """Returns texts that contain every word of the language, to build a vocabulary from."""
    rng = np.random.default_rng(0)
    texts: list[str] = []
    for _ in range(4000):
        document = make_document(rng)
        texts.append(document.text)
        texts.extend(
            f"context: {q.context} question: {q.text} answer: {q.answer}"
            for q in document.questions
        )
    texts.extend(v for k, v in vars(words).items() if k.startswith("Q_"))
    texts.extend(
        "a an the i you he she it they we who what when where why how which " for _ in range(50)
    )
    return texts


def _picture(rng: np.random.Generator) -> tuple[str, list[Question]]:
    objects = place_shapes(rng, int(rng.integers(1, 6)))
    parts = [f"a {o.name} at the {position_word(o.x, o.y)}" for o in objects]
    untold = ("relation", "column", "row")
    asked = [q for q in shape_questions(rng, objects) if q.type not in untold]
    asked.append(Question("describe", words.Q_DESCRIBE, ", ".join(parts) + "."))
    text = ", ".join(parts) + "."
    if rng.random() < 0.5:
        o = pick(rng, objects)
        column, row = sixth_word(o.x), sixth_word(o.y)
        text += f" the {o.name} is in column {column}, row {row}."
        asked.append(Question("column", words.Q_COLUMN.format(object=o.name), column))
        asked.append(Question("row", words.Q_ROW.format(object=o.name), row))
    if len(objects) > 1:
        a, b = (objects[i].name for i in rng.permutation(len(objects))[:2])
        relation = pick(rng, words.RELATIONS)
        opposite = words.RELATIONS[words.RELATIONS.index(relation) ^ 1]
        yes = rng.random() < 0.5
        said = f"the {a} is {relation if yes else opposite} the {b}."
        if rng.random() < 0.5:
            said = f"the {b} is {opposite if yes else relation} the {a}."
        ask = words.Q_RELATION.format(first=a, relation=relation, second=b)
        asked.append(Question("relation", ask, "yes" if yes else "no"))
        text = f"{text} {said}"
    return text, asked


def _person(rng: np.random.Generator) -> tuple[str, list[Question]]:
    look, eyes = pick(rng, EXPRESSIONS), pick(rng, GAZES)
    is_open, hand = rng.random() < 0.5, rng.random() < 0.5
    text = f"a person looks {look}, eyes point {eyes}, mouth {'open' if is_open else 'shut'}"
    text += ", hand raised." if hand else "."
    asked = [
        Question("expression", words.Q_EXPRESSION, look),
        Question("gaze", words.Q_GAZE, eyes),
        Question("hand", words.Q_HAND, "yes" if hand else "no"),
        Question("mouth", words.Q_MOUTH, "yes" if is_open else "no"),
        Question("describe", words.Q_DESCRIBE, text),
    ]
    if look != "neutral":
        positive = bool(rng.random() < 0.5)
        said = f"{pick(rng, words.NAMES)}: " + words.literal_sentence(
            rng, positive, pick(rng, words.THINGS)
        )
        fits = "yes" if positive == (look == "happy") else "no"
        asked += [
            Question("match", words.Q_MATCH, fits, said),
            Question("sentiment", words.Q_SENTIMENT, "positive" if positive else "negative", said),
        ]
    return text, asked


def _board(rng: np.random.Generator) -> tuple[str, list[Question]]:
    food, tool = pick(rng, FOODS), pick(rng, TOOLS)
    text = f"a {tool} and a {food}, {words.step_text(ACTIONS[tool], food)}."
    return text, [
        Question("food", words.Q_FOOD, food),
        Question("tool", words.Q_TOOL, tool),
        Question("action", words.Q_ACTION.format(food=food), ACTIONS[tool]),
        Question("describe", words.Q_DESCRIBE, text),
    ]


def _motion(rng: np.random.Generator) -> tuple[str, list[Question]]:
    names = [PAIRS[i] for i in rng.permutation(len(PAIRS))[: int(rng.integers(3, 6))]]
    moving = int(rng.integers(0, min(3, len(names)) + 1))
    ways = [pick(rng, words.DIRECTIONS) if k < moving else None for k in range(len(names))]
    order = rng.permutation(len(names))
    text = ", ".join(
        f"the {names[i]} " + (f"moves {ways[i]}" if ways[i] else "rests") for i in order
    )
    asked = [Question("moving_count", words.Q_MOVING_COUNT, words.NUMBERS[moving])]
    for k in range(moving):
        ask = words.Q_MOVING_DIRECTION.format(object=names[k])
        asked.append(Question("moving_direction", ask, str(ways[k])))
        if ways.count(ways[k]) == 1:
            ask = words.Q_MOVING_ATTRIBUTE.format(direction=ways[k])
            asked.append(Question("moving_attribute", ask, names[k].split()[0]))
    colour = pick(rng, names).split()[0]
    moves = any(n.startswith(colour) for n in names[:moving])
    ask = words.Q_MOVING_EXISTENCE.format(colour=colour)
    asked.append(Question("object_existence", ask, "yes" if moves else "no"))
    a, b, c = (names[i] for i in rng.permutation(len(names))[:3])
    hits = rng.random() < 0.5
    ask = words.Q_COUNTERFACTUAL.format(removed=c, first=a, second=b)
    text += f". without the {c}, the {a} would {'hit' if hits else 'miss'} the {b}."
    asked.append(Question("counterfactual", ask, "yes" if hits else "no"))
    return text, asked


def _talk(rng: np.random.Generator) -> tuple[str, list[Question]]:
    name, other = (words.NAMES[i] for i in rng.permutation(len(words.NAMES))[:2])
    thing = pick(rng, words.THINGS)
    positive, rising = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    turns = [f"{other}: " + pick(rng, words.OPENERS).format(thing=thing)]
    if rng.random() < 0.5:
        turns.append(f"{name}: {pick(rng, words.REPLIES)}")
    turns.append(f"{name}: " + words.literal_sentence(rng, positive, thing))
    said = " ".join(turns)
    text = "a person turns from " + ("sad to happy." if rising else "happy to sad.")
    return text, [
        Question(
            "sarcasm",
            words.Q_SARCASM.format(name=name),
            "no" if positive == rising else "yes",
            said,
        ),
        Question("sentiment", words.Q_SENTIMENT, "positive" if positive else "negative", said),
    ]


def _walk(rng: np.random.Generator) -> tuple[str, list[Question]]:
    names = [PAIRS[i] for i in rng.permutation(len(PAIRS))[: int(rng.integers(3, 6))]]
    text = "i pass " + ", then ".join(f"a {n}" for n in names) + "."
    k = int(rng.integers(1, len(names)))
    return text, [
        Question("pass_after", words.Q_PASS_AFTER.format(object=names[k - 1]), names[k]),
        Question("pass_before", words.Q_PASS_BEFORE.format(object=names[k]), names[k - 1]),
        Question("pass_first", words.Q_PASS_FIRST, names[0]),
        Question("pass_last", words.Q_PASS_LAST, names[-1]),
        Question("pass_count", words.Q_PASS_COUNT, words.NUMBERS[len(names)]),
    ]


def _recipe(rng: np.random.Generator) -> tuple[str, list[Question]]:
    foods = [FOODS[i] for i in rng.permutation(len(FOODS))[: int(rng.integers(3, 5))]]
    actions = [pick(rng, tuple(ACTIONS.values())) for _ in foods]
    steps = [words.step_text(a, f) for a, f in zip(actions, foods, strict=True)]
    k = int(rng.integers(1, len(steps)))
    after = {"food": foods[k - 1], "participle": words.PARTICIPLES[actions[k - 1]]}
    before = {"food": foods[k], "participle": words.PARTICIPLES[actions[k]]}
    return "first " + ", then ".join(steps) + ".", [
        Question("step_first", words.Q_STEP_FIRST, steps[0]),
        Question("step_last", words.Q_STEP_LAST, steps[-1]),
        Question("step_after", words.Q_STEP_AFTER.format(**after), steps[k]),
        Question("step_before", words.Q_STEP_BEFORE.format(**before), steps[k - 1]),
        Question("steps", words.Q_STEPS, words.join_steps(steps)),
    ]
