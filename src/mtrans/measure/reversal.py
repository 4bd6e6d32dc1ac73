"""What the right answer would be if the clip ran backwards, where that is known.

Some questions keep their answer (how many objects move), some get a known other one (which way it
moves, what came first), of others nothing is known and they are left out. A manifest can say it of
its own questions with the fact ``answer_reversed``; for the worlds it follows from the words of the
question and, where several questions are about one clip, from the answers to the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from mtrans.core.records import Prediction
from mtrans.measure.metrics import truth
from mtrans.video.worlds import language as words

FACT = "answer_reversed"
"""Fact that says it of a question."""

KEPT = ("object_existence", "moving_count", "pass_count")
"""Types of the worlds' questions whose answer does not depend on the direction of time."""

OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}

Clip = tuple[str | None, float | None, float | None]


def _pattern(template: str) -> re.Pattern[str]:
    """Turns a question's template into a pattern with the template's names as groups."""
    text = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>.+?)", text) + r"$", re.IGNORECASE)


_DIRECTION = _pattern(words.Q_MOVING_DIRECTION)
_FIRST = [_pattern(q) for q in (words.Q_PASS_FIRST, words.Q_STEP_FIRST)]
_LAST = [_pattern(q) for q in (words.Q_PASS_LAST, words.Q_STEP_LAST)]
_AFTER = [_pattern(q) for q in (words.Q_PASS_AFTER, words.Q_STEP_AFTER)]
_BEFORE = [_pattern(q) for q in (words.Q_PASS_BEFORE, words.Q_STEP_BEFORE)]
_STEPS = _pattern(words.Q_STEPS)


def reversed_answers(predictions: Sequence[Prediction]) -> dict[str, str]:
    """Returns by id the right answer to a question about the clip run backwards.

    Args:
        predictions: All questions about the clips, in any order.

    Returns:
        Answers where they are known; with candidates, only those among the candidates.
    """
    clips: dict[Clip, list[Prediction]] = {}
    for p in predictions:
        if truth(p) is not None:
            clips.setdefault((p.video, p.start, p.end), []).append(p)
    found = {}
    for part in clips.values():
        order = _Order(part)
        for p in part:
            answer = _of(p, order)
            if answer is not None and (p.choices is None or answer in p.choices):
                found[p.id] = answer
    return found


def _of(p: Prediction, order: _Order) -> str | None:
    told = p.facts.get(FACT)
    if isinstance(told, str):
        return told
    if p.facts.get("world") is None:
        return None  # only the worlds are known to mean by their words what is written here
    right = str(truth(p))
    if p.type in KEPT:
        return right
    if _DIRECTION.match(p.question):
        return OPPOSITE.get(right)
    return order.reversed(p.question, right)


class _Order:
    """What the answers to a clip's questions tell of what follows what.

    Args:
        part: All questions about one clip.
    """

    def __init__(self, part: Iterable[Prediction]):
        self.first: str | None = None
        self.last: str | None = None
        self.next: dict[str, str] = {}
        for p in part:
            right = str(truth(p))
            if _any(_FIRST, p.question):
                self.first = right
            elif _any(_LAST, p.question):
                self.last = right
            elif _STEPS.match(p.question):
                steps = right.rstrip(".").split(", ")
                self.first, self.last = steps[0], steps[-1]
                self.next |= dict(pairwise(steps))
            elif (named := _named(_AFTER, p.question)) is not None:
                self.next[named] = right
            elif (named := _named(_BEFORE, p.question)) is not None:
                self.next[right] = named

    def reversed(self, question: str, right: str) -> str | None:
        """Returns the answer backwards, None where the other questions don't tell it."""
        if _any(_FIRST, question):
            return self.last
        if _any(_LAST, question):
            return self.first
        if _STEPS.match(question):
            return ", ".join(reversed(right.rstrip(".").split(", "))) + "."
        if (named := _named(_AFTER, question)) is not None:
            return self._one(a for a, b in self.next.items() if _same(b, named))
        if (named := _named(_BEFORE, question)) is not None:
            return self._one(b for a, b in self.next.items() if _same(a, named))
        return None

    @staticmethod
    def _one(found: Iterable[str]) -> str | None:
        different = list(dict.fromkeys(found))
        return different[0] if len(different) == 1 else None


def _any(patterns: Iterable[re.Pattern[str]], question: str) -> bool:
    return any(p.match(question) for p in patterns)


def _named(patterns: Iterable[re.Pattern[str]], question: str) -> str | None:
    """Returns what a before/after question names, as its answers would call it."""
    for p in patterns:
        if found := p.match(question):
            groups = found.groupdict()
            if "object" in groups:
                return groups["object"]
            actions = {v: k for k, v in words.PARTICIPLES.items()}
            action = actions.get(groups["participle"])
            return words.step_text(action, groups["food"]) if action else None
    return None


def _same(a: str, b: str) -> bool:
    return a.strip().lower() == b.strip().lower()
