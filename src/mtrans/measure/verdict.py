"""What a person wants to know of a model first, in a few sentences with numbers.

    scores, analysis.json, robustness.json, faithfulness.json, ood.json --> six questions, answered

Each answer stands on numbers that the page shows below; what was not measured says which command
measures it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtrans.core.records import Score
from mtrans.measure import verdict_answers as answers
from mtrans.measure.sayings import ends, part_name, pc, thing
from mtrans.measure.units import is_share

Found = Mapping[str, Any]

RELIABLE = 0.9
"""Accuracy from which a type of question is called answered reliably."""

LISTED = 5
"""Types named of each kind at most."""


@dataclass(frozen=True)
class Answer:
    """One question about a model.

    Attributes:
        key: Its name.
        question: As it stands on the page.
        lines: Sentences; the first is the answer.
        known: Whether it was measured; if not, `lines` say how.
    """

    key: str
    question: str
    lines: list[str] = field(default_factory=list)
    known: bool = True


def verdict(
    scores: Sequence[Score],
    *,
    drawn: str = "clips",
    analysis: Found | None = None,
    robustness: Found | None = None,
    maps: Found | None = None,
    ood: Found | None = None,
) -> list[Answer]:
    """Answers what a person asks first.

    Args:
        scores: Of ``scores.json``; those by question type are looked at too.
        drawn: What the scores' intervals draw as a whole.
        analysis: ``parts`` of ``analysis.json``.
        robustness: ``robustness.json``.
        maps: ``faithfulness.json``, of `mtrans explain --clips`.
        ood: ``ood.json``.

    Returns:
        The answers in the order of the page; none without scores.
    """
    if not scores:
        return []
    parts = {k: v for k, v in (analysis or {}).items() if "missing" not in v}
    asked = [
        ("good", "What is it good at?", _good(scores, drawn), ""),
        ("bad", "Where does it fail?", _bad(scores, parts), "mtrans analyze RUN"),
        (
            "time",
            "Does it use time?",
            answers.time(parts, robustness or {}),
            "mtrans robustness RUN",
        ),
        ("trust", "Can its confidence be trusted?", answers.trust(parts), "mtrans analyze RUN"),
        ("calm", "What disturbs it?", answers.calm(robustness or {}), "mtrans robustness RUN"),
        ("maps", "Can its maps be trusted?", answers.maps(maps or {}), ""),
        ("strange", "Does it notice strange clips?", answers.strange(ood or {}), ""),
    ]
    out = []
    for key, question, lines, command in asked:
        if lines:
            out.append(Answer(key, question, lines))
        elif command:
            out.append(Answer(key, question, [f"Not measured; {command} does."], known=False))
    return out


def _good(scores: Sequence[Score], drawn: str) -> list[str]:
    main = next((s for s in scores if not s.slice), None)
    if main is None or not is_share(main.metric):
        return []
    if main.metric == "accuracy":
        right = f"{pc(main.value)}{ends(main.low, main.high)}"
        asked = f"{main.n} answers about {main.clusters} {drawn}"
        lines = [f"{right} of {asked} are right{_guess(main)}."]
    else:
        value = f"{pc(main.value)}{ends(main.low, main.high)}"
        lines = [f"Its {thing(main.metric)} is {value} on {main.n} questions."]
    types = _types(scores, main.metric)
    sure = [s for s in types if not _guessed(s) and s.value >= RELIABLE]
    some = [s for s in types if not _guessed(s) and s.value < RELIABLE]
    if sure:
        lines.append(f"Right nine times in ten or more: {_list(sure, guess=False)}.")
    better = [s for s in some if s.chance is not None]
    rest = [s for s in some if s.chance is None]  # what is written is not guessed
    if better:
        lines.append(f"Better than guessing, not reliable: {_list(better, guess=True)}.")
    if rest:
        lines.append(f"Less often: {_list(rest, guess=False)}.")
    if _guessed(main):
        lines.append("Over all questions it is not shown to do better than guessing.")
    return lines


def _bad(scores: Sequence[Score], parts: Found) -> list[str]:
    main = next((s for s in scores if not s.slice), None)
    lines: list[str] = []
    none = [s for s in _types(scores, main.metric if main else "") if _guessed(s)]
    if none:
        lines.append(f"Not shown to do better than guessing: {_list(none, guess=True)}.")
    named = {str(s.slice["type"]) for s in none}
    for row in parts.get("worst", {}).get("parts", ()):
        if row["facts"].get("type") in named and len(row["facts"]) == 1:
            continue  # said above
        lines.append(
            f"Worst part: {part_name(row['facts'])}, {pc(row['accuracy'])}"
            f"{ends(row['low'], row['high'])} right, {pc(row['elsewhere'])} elsewhere."
        )
        break
    found = parts.get("mistakes")
    if found is not None and found["wrong"] > found["kinds"].get("unknown", 0):
        lines.append(
            f"{found['kinds']['sure']} of its {found['wrong']} mistakes were made with 80 %"
            " confidence or more."
        )
    return lines + _reasoning(parts.get("perception"))


def _reasoning(found: Found | None) -> list[str]:
    """Says how many mistakes are about clips that are seen through, by the eyes that see more."""
    if found is None or "answers" not in found or not sum(found["errors"].values()):
        return []
    who, seen = "it", found
    image = found["image_model"]
    if image is not None and image["seen"] > found["seen"]:
        who, seen = "the image model it was adapted from", image
    reasoning = seen["errors"]["reasoning"]
    wrong = reasoning + seen["errors"]["perception"]
    return [
        f"{reasoning} of {wrong} mistakes are about clips in which {who} tells every object"
        " rightly: mistakes of reasoning, not of seeing."
    ]


def _types(scores: Sequence[Score], metric: str) -> list[Score]:
    found = [s for s in scores if s.metric == metric and set(s.slice) == {"type"}]
    return sorted(found, key=lambda s: -s.value)


def _guessed(score: Score) -> bool:
    """Whether guessing would do as well, as far as the interval says."""
    return score.chance is not None and (score.low is None or score.low <= score.chance)


def _guess(score: Score) -> str:
    return "" if score.chance is None else f"; guessing gives {pc(score.chance)}"


def _list(scores: Sequence[Score], *, guess: bool) -> str:
    said = []
    for s in scores[:LISTED]:
        against = f", guessing {100 * s.chance:.1f}" if guess and s.chance is not None else ""
        inside = f"{100 * s.low:.1f} to {100 * s.high:.1f}" if s.low is not None and s.high else ""
        note = f" ({inside}{against})" if inside else ""
        said.append(f"{thing(s.slice['type'])} {pc(s.value)}{note}")
    more = f" and {len(scores) - LISTED} more" if len(scores) > LISTED else ""
    return ", ".join(said) + more
