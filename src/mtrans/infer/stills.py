"""Still-image questions about the objects of a clip: does a model see what it reasons about?

What is in a clip is known from its facts (``objects``, their number; ``things``, "red circle, blue
square"), in the world `physics` from the clip's recipe (:mod:`mtrans.infer.things`), and where that
is gone from the clip's own questions: no two objects of a clip of `physics` have one colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtrans.core.records import Prediction, Sample
from mtrans.infer.things import WORLD, all_things, things_in
from mtrans.video.worlds import language as words
from mtrans.video.worlds.shapes import COLOURS, SHAPES

STILL = "still"
"""What the type of a still question starts with."""


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
    known = all_things(part)
    named = " ; ".join(p.question for p in part) if facts.get("world") == WORLD else ""
    things = things_in(named) if known is None else known
    asked: list[tuple[str, str, str, tuple[str, ...]]] = []
    colours = [colour for colour, _ in things]
    for colour, shape in things:
        if colours.count(colour) == 1:
            asked.append(("shape", words.Q_SHAPE.format(colour=colour), shape, SHAPES))
        # "the" circle is one circle: only a complete list of things says so
        if known is not None and sum(s == shape for _, s in things) == 1:
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
