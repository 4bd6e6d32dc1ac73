"""Still-image questions about the objects of a clip: does a model see what it reasons about?

What is in a clip is known from its facts (``objects``, their number; ``things``, "red circle, blue
square") and, where ``things`` is missing, from the clip's own questions, which name the objects
they are about: in the world `physics`, where no two objects of a clip have one colour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mtrans.core.records import Prediction, Sample
from mtrans.video.worlds import language as words
from mtrans.video.worlds.shapes import COLOURS, SHAPES

STILL = "still"
"""What the type of a still question starts with."""

NAMING_WORLD = "physics"
"""The world whose questions name objects by colours that are unique in the clip."""

_THING = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})s?\b")


def things_in(text: str) -> list[tuple[str, str]]:
    """Returns the objects that a text names: (colour, shape), each once."""
    return list(dict.fromkeys((c, s) for c, s in _THING.findall(text.lower())))


def still_questions(predictions: Sequence[Prediction]) -> list[Sample]:
    """Asks about the objects of every clip, each question once a clip.

    Args:
        predictions: Multiple-choice answers; those without a video, or whose objects are not
            known, give no question.

    Returns:
        Questions with candidates, of types ``still shape``, ``still colour`` and ``still count``:
        what shape the object of a colour has, what colour the only object of a shape known to be
        alone has, and how many objects there are.
    """
    clips: dict[tuple[str, float | None, float | None], list[Prediction]] = {}
    for p in predictions:
        if p.video is not None and p.choices is not None and p.error is None:
            clips.setdefault((p.video, p.start, p.end), []).append(p)
    return [sample for number, part in enumerate(clips.values()) for sample in _of(number, part)]


def _of(number: int, part: Sequence[Prediction]) -> Iterator[Sample]:
    facts, first = part[0].facts, part[0]
    told = facts.get("things")
    whole = isinstance(told, str)
    named = " ; ".join(p.question for p in part) if facts.get("world") == NAMING_WORLD else ""
    things = things_in(str(told) if whole else named)
    asked: list[tuple[str, str, str, tuple[str, ...]]] = []
    colours = [colour for colour, _ in things]
    for colour, shape in things:
        if colours.count(colour) == 1:
            asked.append(("shape", words.Q_SHAPE.format(colour=colour), shape, SHAPES))
        # "the" circle is one circle: only a complete list of things says so
        if whole and sum(s == shape for _, s in things) == 1:
            asked.append(("colour", words.Q_COLOUR.format(shape=shape), colour, tuple(COLOURS)))
    count = facts.get("objects")
    if isinstance(count, int) and not isinstance(count, bool) and 0 < count < len(words.NUMBERS):
        asked.append(("count", words.Q_COUNT, words.NUMBERS[count], words.NUMBERS[1:]))
    for k, (kind, question, answer, choices) in enumerate(asked):
        yield Sample(
            id=f"{STILL}-{number:05d}-{k}",
            video=first.video,
            start=first.start,
            end=first.end,
            question=question,
            answer=answer,
            choices=choices,
            label=choices.index(answer),
            group=first.group,
            type=f"{STILL} {kind}",
        )
