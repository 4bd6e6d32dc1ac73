"""Question and dialogue changed; candidates and answers never."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from mtrans.core.records import Sample, Turn
from mtrans.video.perturb.registry import perturbation

_WORD = re.compile(r"[^\W\d_]{3,}")


@perturbation("text", (0.1, 0.2, 0.35, 0.5, 0.8), "share of words")
def typos(sample: Sample, level: float, rng: np.random.Generator) -> Sample:
    """Two neighbouring letters of a word change places, in question and dialogue.

    Args:
        sample: The question.
        level: Share of words of three letters and more; each is drawn for itself.
        rng: Draws words and letters, the same whatever the level.

    Returns:
        The question with typos.
    """

    def swap(found: re.Match[str]) -> str:
        word, drawn, place = found.group(), float(rng.random()), float(rng.random())
        if drawn >= level:
            return word
        i = int(place * (len(word) - 1))
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]

    question = _WORD.sub(swap, sample.question)
    turns = tuple(Turn(_WORD.sub(swap, turn.text), turn.speaker) for turn in sample.context)
    return dataclasses.replace(sample, question=question, context=turns)


@perturbation("text", (1.0,), "all turns")
def no_names(sample: Sample, level: float, rng: np.random.Generator) -> Sample:
    """The speakers' names are taken from the dialogue.

    Args:
        sample: The question.
        level: 0 does nothing.
        rng: Not used.

    Returns:
        The question, its turns without speakers.
    """
    if level <= 0:
        return sample
    return dataclasses.replace(sample, context=tuple(Turn(t.text) for t in sample.context))


@perturbation("text", (0.2, 0.4, 0.6, 0.8, 1.0), "share of turns, the oldest first")
def no_context(sample: Sample, level: float, rng: np.random.Generator) -> Sample:
    """Turns of the dialogue are taken away, the oldest first.

    Args:
        sample: The question.
        level: Share taken away, at least one turn.
        rng: Not used.

    Returns:
        The question with what is left of its dialogue.
    """
    turns = sample.context
    gone = max(1, round(len(turns) * level)) if level > 0 else 0
    return dataclasses.replace(sample, context=turns[gone:])
