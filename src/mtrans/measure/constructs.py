"""How something is said: linguistic constructs of an utterance, by rules.

The rules are plain word patterns, so that everyone can see why a sentence counts; they know English
and no irony. A fact `construct` (a column of the manifest, names separated by commas, ``none`` for
none) overrides them clip by clip. What each rule looks for is in :data:`RULES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtrans.core.records import Prediction

FACT = "construct"
"""The fact that overrides the rules."""

NONE = "none"

_POSITIVE = (
    "love loved lovely like liked great good nice wonderful best happy joy amazing awesome perfect"
    " brilliant fantastic fun enjoy enjoyed excellent delightful delighted beautiful glad thrilled"
    " charming pleasure favorite favourite terrific genius thank thanks lucky"
)
_NEGATIVE = (
    "hate hated awful terrible bad worst sad pain horrible boring ugly stupid annoying disaster"
    " disgusting broken wrong fail failed failure lost hurt sick dead died killed cry crying angry"
    " miserable unfortunately mess ruined dumb pathetic disappointing disappointed dreadful"
)
_POSITIVE_WORDS, _NEGATIVE_WORDS = frozenset(_POSITIVE.split()), frozenset(_NEGATIVE.split())
_NOT = r"\b(?:not|never|no|nothing|nobody|none|neither|nor|without|hardly|barely|cannot)\b|n't\b"

_REACH = 3  # words a negation reaches ahead


@dataclass(frozen=True)
class Rule:
    """A construct.

    Attributes:
        name: Its name.
        about: What counts, for people.
        holds: (utterance, what was said before), both in lower case -> whether it is there.
    """

    name: str
    about: str
    holds: Callable[[str, str], bool]


def _pattern(*parts: str) -> Callable[[str, str], bool]:
    compiled = re.compile("|".join(parts))
    return lambda said, before: compiled.search(said) is not None


def _polarity(text: str) -> tuple[bool, bool]:
    """Says whether a text has positive and negative words; a negation turns the next of them."""
    found = [False, False]
    since = _REACH + 1  # words since a negation that has not turned a word yet
    for word in re.findall(r"[a-z']+", text):
        since = 0 if re.search(_NOT, word) else since + 1
        if word in _POSITIVE_WORDS or word in _NEGATIVE_WORDS:
            found[(word in _NEGATIVE_WORDS) != (since <= _REACH)] = True
            since = _REACH + 1
    return found[0], found[1]


def _contrast(said: str, before: str) -> bool:
    if re.search(r"\b(?:but|yet|however|although|though|whereas|instead|except)\b", said):
        return True
    positive, negative = _polarity(said)
    before_positive, before_negative = _polarity(before)
    if positive and negative:
        return True
    against = (positive and before_negative and not before_positive) or (
        negative and before_positive and not before_negative
    )
    return bool(against)


RULES = (
    Rule(
        "contrast",
        "but, yet, however, although, instead ...; or positive and negative words together; or"
        " words of one polarity after a dialogue of the other",
        _contrast,
    ),
    Rule(
        "hyperbole",
        "best/worst ... ever, the most ..., literally, a million, absolutely, totally, so so,"
        " always or never ... ever, lengthened words (sooo)",
        _pattern(
            r"\b(?:best|worst|greatest|\w+est)\b.*\bever\b",
            r"\bthe most \w+",
            r"\b(?:literally|absolutely|totally|completely|utterly|insanely|incredibly)\b",
            r"\b(?:million|billion|thousand|hundred)s?\b",
            r"\b(so|very|really) \1\b",
            r"\b(?:never|always)\b.*\b(?:ever|in my life|whole life|entire life)\b",
            r"([a-z])\2\2",
        ),
    ),
    Rule(
        "rhetorical question",
        "a question mark after who cares / doesn't, isn't it, what could go wrong, why would, how"
        " could, really, seriously, you think, a tag (right? don't you? can you?)",
        _pattern(
            r"\bwho (?:cares|knew|doesn't|wouldn't|could|would|needs)\b.*\?",
            r"\bwhat (?:could|else|were you|was i|more)\b.*\?",
            r"\b(?:why|how) (?:would|could|should|on earth|do i even)\b.*\?",
            r"\b(?:really|seriously|are you (?:kidding|serious)|you think(?: so)?)\b[^.!?]*\?",
            r"\b(?:isn't|aren't|don't|doesn't|didn't|can't|won't|wouldn't|wasn't|haven't) "
            r"(?:it|you|they|he|she|we|i|that|this)\b[^.!]*\?",
            r"\b(?:right|huh|eh|can you|could you|will you)\s*\?",
        ),
    ),
    Rule(
        "negation",
        "not, n't, never, no, nothing, nobody, neither, nor, without, hardly, barely",
        _pattern(_NOT),
    ),
    Rule(
        "understatement",
        "a bit, a little, slightly, somewhat, kind of, sort of, not bad, not exactly, not the best,"
        " could be worse, not un..., just a",
        _pattern(
            r"\ba (?:bit|little|tad)\b",
            r"\b(?:slightly|somewhat|mildly|kinda|sorta|fairly)\b",
            r"\b(?:kind|sort) of\b",
            r"\bnot (?:(?:too|so|that|half|a) )?bad\b",
            r"\bnot (?:exactly|quite|really|entirely|the (?:best|worst|most)|un\w+)\b",
            r"\bcould be (?:worse|better)\b",
            r"\bi'?ve (?:seen|had) (?:better|worse)\b",
            r"\bjust a (?:small|minor|scratch|flesh)\b",
        ),
    ),
)
"""The constructs, in the order in which they are reported."""


def constructs_in(utterance: str, before: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the names of the constructs of an utterance.

    Args:
        utterance: What is said.
        before: The dialogue before it.
    """
    said, context = _plain(utterance), _plain(" ".join(before))
    return tuple(rule.name for rule in RULES if rule.holds(said, context))


def constructs_of(prediction: Prediction) -> tuple[str, ...] | None:
    """Returns the constructs of the last turn of a question's dialogue.

    Returns:
        Their names, empty where there is none; None for a question without dialogue and without
        the fact.
    """
    told = prediction.facts.get(FACT)
    if isinstance(told, str):
        names = (name.strip().lower() for name in told.split(","))
        return tuple(name for name in names if name and name != NONE)
    turns = [turn.text for turn in prediction.context]
    return constructs_in(turns[-1], turns[:-1]) if turns else None


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())
