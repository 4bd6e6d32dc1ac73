r"""Sample -> text for the Q-Former and the LLM, and text -> candidate. Needs no torch.

A style is how one family of backbones was trained to be asked:

    tiny          context: anna: i love this cake. question: is anna sarcastic? answer:
    instructblip  anna: i love this cake.\nQuestion: is anna sarcastic? Short answer:
    blip2         anna: i love this cake.\nQuestion: is anna sarcastic? Answer:
    mvbench       the words of MVBench's own evaluation, options in lines; for any backbone

The Q-Former reads the same pieces without the tail that asks for the answer. Which pieces go where
is `ModelSettings.qformer_text` and `llm_text`. Changing any text here changes what adapters were
trained on, so it raises `PROMPT_VERSION`, and tests hold the texts fixed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.records import Sample, Turn
from mtrans.core.settings import ModelSettings, PromptSettings, TextRoute

PROMPT_VERSION = 1


@dataclass(frozen=True)
class PromptStyle:
    """The fixed texts of a style.

    Attributes:
        context: Around the turns; ``{turns}`` is replaced.
        turn: One turn with a speaker; ``{speaker}`` and ``{text}`` are replaced.
        between: Between turns.
        question: Around the question.
        options: Names the candidates; ``{options}`` is replaced.
        option: One candidate; ``{letter}`` or ``{capital}``, and ``{text}`` are replaced.
        between_options: Between candidates.
        joint: Between the pieces after the context.
        context_end: Between the context and what follows.
        tail: Asks for the answer; the LLM's text ends with it.
        lower: Whether all text is put in lower case and on one line.
    """

    context: str
    turn: str
    between: str
    question: str
    options: str
    option: str
    between_options: str
    joint: str
    context_end: str
    tail: str
    lower: bool


_BLIP = {
    "context": "{turns}",
    "turn": "{speaker}: {text}",
    "between": "\n",
    "question": "Question: {question}",
    "options": "Options: {options}.",
    "option": "({letter}) {text}",
    "between_options": " ",
    "joint": " ",
    "context_end": "\n",
}

_MVBENCH = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail"
    " and movement of objects, and the action and pose of persons. Based on your observations,"
    " select the best option that accurately addresses the question."
)

STYLES: dict[str, PromptStyle] = {
    "tiny": PromptStyle(
        context="context: {turns}",
        turn="{speaker}: {text}",
        between=" ",
        question="question: {question}",
        options="choices: {options}.",
        option="{text}",
        between_options=", ",
        joint=" ",
        context_end=" ",
        tail="answer:",
        lower=True,
    ),
    # "Question: {} Short answer:" and "Options: (a) .. (b) .." are InstructBLIP's own templates
    # (Dai et al., NeurIPS 2023, appendix C and E).
    "instructblip": PromptStyle(**_BLIP, tail="Short answer:", lower=False),
    # Li et al., CVPR 2024: video_chat2/mvbench.ipynb of OpenGVLab/Ask-Anything. Its text ends with
    # "Best option:(" and what the model writes is matched by letter; here candidates are scored as
    # they stand after "Best option:", and `parse_answer` matches what a model writes.
    "mvbench": PromptStyle(
        context="{turns}",
        turn="{speaker}: {text}",
        between="\n",
        question=f"{_MVBENCH}\nQuestion: {{question}}",
        options="Options:\n{options}\nOnly give the best option.",
        option="({capital}) {text}",
        between_options="\n",
        joint="\n",
        context_end="\n",
        tail="Best option:",
        lower=False,
    ),
    # Li et al., ICML 2023, section 4.1
    "blip2": PromptStyle(**_BLIP, tail="Answer:", lower=False),
}


@dataclass(frozen=True)
class Prompt:
    """The texts of one sample.

    Attributes:
        qformer_text: What the Q-Former reads; never empty.
        llm_text: What the LLM reads before it answers; ends with the style's tail, and the answer
            follows after one space.
    """

    qformer_text: str
    llm_text: str


def pick_style(prompt: PromptSettings, backbone_style: str) -> str:
    """Returns the style's name: `PromptSettings.template`, or the backbone's own for ``auto``.

    Raises:
        SettingsError: No such style.
    """
    name = backbone_style if prompt.template == "auto" else prompt.template
    if name not in STYLES:
        raise SettingsError(
            f"prompt.template={name}: unknown{did_you_mean(name, [*STYLES, 'auto'])}"
        )
    return name


def build_prompt(
    sample: Sample, settings: ModelSettings, prompt: PromptSettings, style: str
) -> Prompt:
    """Turns a sample into text.

    A route of ``context`` falls back to the question where a sample has no context, as the paper
    does for its data sets without dialogue.

    Args:
        sample: The question.
        settings: Which text goes where.
        prompt: The template and whether candidates are named.
        style: The backbone's own style, taken where `prompt.template` is ``auto``.

    Returns:
        Both texts.

    Raises:
        SettingsError: No such style.
    """
    name = pick_style(prompt, style)
    words = STYLES[name]
    listed = sample.choices if prompt.list_choices else None
    qformer = _pieces(sample, settings.qformer_text, listed, words)
    llm = _pieces(sample, settings.llm_text, listed, words)
    return Prompt(qformer_text=qformer, llm_text=f"{llm}{words.joint}{words.tail}")


def answer_text(answer: str, style: str) -> str:
    """Returns an answer or candidate as a style writes it: stripped, for ``tiny`` in lower case.

    It follows the LLM's text after one space; training, scoring and parsing share this form.
    """
    return _plain(answer, STYLES[style])


def drop_oldest(context: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Shortens a context: the oldest turn goes whole, a last one loses its first half.

    Args:
        context: Turns, oldest first.

    Returns:
        A shorter context; empty at the end.
    """
    if len(context) > 1:
        return context[1:]
    words = context[0].text.split() if context else []
    if len(words) < 2:
        return ()
    return (Turn(" ".join(words[(len(words) + 1) // 2 :]), context[0].speaker),)


def _pieces(
    sample: Sample, route: TextRoute, choices: Sequence[str] | None, words: PromptStyle
) -> str:
    context = sample.context if route in ("context", "both") else ()
    ask = route in ("question", "both") or not context
    text = ""
    if context:
        turns = words.between.join(_turn(turn, words) for turn in context)
        text = words.context.format(turns=turns)
    if ask:
        pieces = [words.question.format(question=_plain(sample.question, words))]
        if choices:
            options = words.between_options.join(
                words.option.format(
                    letter=_letter(place),
                    capital=_letter(place).upper(),
                    text=_plain(choice, words),
                )
                for place, choice in enumerate(choices)
            )
            pieces.append(words.options.format(options=options))
        text += (words.context_end if text else "") + words.joint.join(pieces)
    return text


def _turn(turn: Turn, words: PromptStyle) -> str:
    text = _plain(turn.text, words)
    if turn.speaker is None:
        return text
    return words.turn.format(speaker=_plain(turn.speaker, words), text=text)


def _plain(text: str, words: PromptStyle) -> str:
    return " ".join(text.lower().split()) if words.lower else text.strip()


def _letter(place: int) -> str:
    return chr(ord("a") + place) if place < 26 else str(place + 1)


# --- text -> candidate --------------------------------------------------------------------------

# fmt: off
_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)
# fmt: on
_NUMBER = {word: str(value) for value, word in enumerate(_NUMBERS)}
_ARTICLES = frozenset(("a", "an", "the"))
_NEGATIONS = frozenset(
    ("not", "no", "never", "isnt", "arent", "wasnt", "doesnt", "dont", "without")
)
_LETTER = re.compile(
    r"^\s*(?:(?:the\s+)?(?:correct\s+|right\s+)?(?:answer|option|choice)(?:\s+is)?\s*:?\s*)?"
    r"(?:\((?P<in>[a-z])(?:\)|\s*$)|(?P<bare>[a-z])(?P<mark>[.):]|\s*$))\s*(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)


def parse_answer(text: str, choices: Sequence[str]) -> int | None:
    """Finds the candidate that a text names. The one parser of the project.

    In this order: the candidate as it is written; an option letter ("(B)", "b.", "answer: B", alone
    or before its candidate, but not before another one); the candidate with case, punctuation,
    articles, and number words against digits set aside; the one candidate that occurs in the text,
    whole words, not directly negated, longer ones before those they contain; the one candidate of
    which the text is a part. Anything else, two candidates named for instance, is None: a failure
    to be counted, never a guess.

    Args:
        text: What a model said.
        choices: The candidates.

    Returns:
        The index of the candidate, or None.
    """
    said = _words(text)
    candidates = [_words(choice) for choice in choices]
    raw = [i for i, c in enumerate(choices) if c.strip().casefold() == text.strip().casefold()]
    if len(raw) == 1:
        return raw[0]
    letter = _LETTER.match(text)
    if letter:
        place = ord((letter["in"] or letter["bare"]).lower()) - ord("a")
        rest = _contained(_words(letter["rest"]), candidates)
        if place < len(choices):
            return place if rest <= {place} else None
    exact = [i for i, c in enumerate(candidates) if c == said and said]
    if exact:
        return exact[0] if len(exact) == 1 else None
    found = _contained(said, candidates)
    if found:
        return found.pop() if len(found) == 1 else None
    part_of = [i for i, c in enumerate(candidates) if said and _find(said, c)]
    return part_of[0] if len(part_of) == 1 else None


def _contained(said: list[str], candidates: Sequence[list[str]]) -> set[int]:
    """Returns the candidates that occur in `said`, without those inside a longer one's place."""
    spans = [(s, s + len(c), i) for i, c in enumerate(candidates) for s in _find(c, said)]
    keep = set()
    for start, end, index in spans:
        inside = any(
            s <= start and end <= e and e - s > end - start for s, e, i in spans if i != index
        )
        negated = start > 0 and said[start - 1] in _NEGATIONS
        if not inside and not negated:
            keep.add(index)
    return keep


def _find(part: list[str], whole: list[str]) -> list[int]:
    """Returns where `part` starts in `whole`, as whole words."""
    n = len(part)
    return [s for s in range(len(whole) - n + 1) if whole[s : s + n] == part] if n else []


def _words(text: str) -> list[str]:
    """Splits into comparable words: no case, punctuation or articles, numbers as digits."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").replace("'", "")
    # a point or comma between digits and a minus before one belong to the number
    words = re.findall(r"(?:(?<!\w)-)?\d+(?:[.,]\d+)*|[^\W_]+", text)
    plain = [_NUMBER.get(w, w) for w in words]
    return [w for w in plain if w not in _ARTICLES] or plain
