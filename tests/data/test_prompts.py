"""The texts of version 1 are held fixed here: adapters were trained on them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample, Turn
from mtrans.core.settings import ModelSettings, PromptSettings
from mtrans.data.prompts import (
    PROMPT_VERSION,
    answer_text,
    build_prompt,
    drop_oldest,
    parse_answer,
)

TALK = Sample(
    id="t",
    video=None,
    question="Is Anna sarcastic?",
    choices=("yes", "no"),
    context=(Turn("how was the cake?", "Ben"), Turn("I love this  cake.", "Anna")),
)
PLAIN = dataclasses.replace(TALK, context=())


def texts(sample, style, *, list_choices=False, template="auto", **routes):
    prompt = build_prompt(
        sample,
        ModelSettings(**routes),
        PromptSettings(list_choices=list_choices, template=template),
        style,
    )
    return prompt.qformer_text, prompt.llm_text


def test_tiny_golden():
    assert PROMPT_VERSION == 1
    context = "context: ben: how was the cake? anna: i love this cake."
    assert texts(TALK, "tiny") == (
        f"{context} question: is anna sarcastic?",
        f"{context} question: is anna sarcastic? answer:",
    )
    assert texts(PLAIN, "tiny") == (
        "question: is anna sarcastic?",
        "question: is anna sarcastic? answer:",
    )
    assert texts(PLAIN, "tiny", list_choices=True)[1] == (
        "question: is anna sarcastic? choices: yes, no. answer:"
    )


def test_spaced_text_of_the_worlds_is_left_as_it_is():
    sample = Sample(
        id="t",
        video=None,
        question="is the speaker sarcastic ?",
        context=(Turn("i love this .", "alice"),),
    )
    assert texts(sample, "tiny")[1] == (
        "context: alice: i love this . question: is the speaker sarcastic ? answer:"
    )


def test_instructblip_golden():
    context = "Ben: how was the cake?\nAnna: I love this  cake."
    assert texts(TALK, "instructblip") == (
        f"{context}\nQuestion: Is Anna sarcastic?",
        f"{context}\nQuestion: Is Anna sarcastic? Short answer:",
    )
    assert texts(PLAIN, "instructblip", list_choices=True)[1] == (
        "Question: Is Anna sarcastic? Options: (a) yes (b) no. Short answer:"
    )


def test_blip2_golden():
    context = "Ben: how was the cake?\nAnna: I love this  cake."
    assert texts(TALK, "blip2") == (
        f"{context}\nQuestion: Is Anna sarcastic?",
        f"{context}\nQuestion: Is Anna sarcastic? Answer:",
    )
    assert texts(PLAIN, "blip2")[1] == "Question: Is Anna sarcastic? Answer:"
    assert texts(PLAIN, "blip2", list_choices=True)[1] == (
        "Question: Is Anna sarcastic? Options: (a) yes (b) no. Answer:"
    )


def test_mvbench_golden():
    said = (
        "Carefully watch the video and pay attention to the cause and sequence of events, the"
        " detail and movement of objects, and the action and pose of persons. Based on your"
        " observations, select the best option that accurately addresses the question.\n"
        "Question: Is Anna sarcastic?\nOptions:\n(A) yes\n(B) no\nOnly give the best option."
    )
    assert texts(PLAIN, "tiny", list_choices=True, template="mvbench") == (
        said,
        f"{said}\nBest option:",
    )


def test_routes():
    routed = texts(TALK, "tiny", qformer_text="context", llm_text="question")
    assert routed == (
        "context: ben: how was the cake? anna: i love this cake.",
        "question: is anna sarcastic? answer:",
    )
    swapped = texts(TALK, "tiny", qformer_text="question", llm_text="context")
    assert swapped == (
        "question: is anna sarcastic?",
        "context: ben: how was the cake? anna: i love this cake. answer:",
    )
    # without context the route `context` takes the question: no text is ever empty
    assert texts(PLAIN, "tiny", qformer_text="context", llm_text="context") == texts(PLAIN, "tiny")


def test_template_overrules_the_backbone():
    assert texts(PLAIN, "tiny", template="instructblip") == texts(PLAIN, "instructblip")
    with pytest.raises(SettingsError, match="did you mean 'tiny'"):
        texts(PLAIN, "tiny", template="tiney")


def test_braces_in_texts_are_text():
    sample = dataclasses.replace(
        TALK, question="what is {question} {0}?", context=(Turn("{x}", "{y}"),)
    )
    assert texts(sample, "tiny")[1] == "context: {y}: {x} question: what is {question} {0}? answer:"


def test_answer_text():
    assert answer_text(" Top  Left ", "tiny") == "top left"
    assert answer_text(" Top Left ", "instructblip") == "Top Left"


def test_drop_oldest_goes_turn_by_turn_then_by_halves():
    context = (Turn("a b c", "x"), Turn("d e f g h", "y"))
    seen = []
    while context:
        context = drop_oldest(context)
        seen.append(context)
    assert seen == [
        (Turn("d e f g h", "y"),),
        (Turn("g h", "y"),),
        (Turn("h", "y"),),
        (),
    ]


DIRECTIONS = ("left", "right", "up", "down")


@pytest.mark.parametrize(
    ("text", "choices", "expected"),
    [
        ("left", DIRECTIONS, 0),
        ("  Right. ", DIRECTIONS, 1),
        ("The LEFT!", DIRECTIONS, 0),
        ("(B)", DIRECTIONS, 1),
        ("B.", DIRECTIONS, 1),
        ("b", DIRECTIONS, 1),
        ("c) up", DIRECTIONS, 2),
        ("answer: D", DIRECTIONS, 3),
        ("The answer is (d) down", DIRECTIONS, 3),
        ("(A) right", DIRECTIONS, None),  # letter and text disagree
        ("(e)", DIRECTIONS, None),
        ("it moves to the left side", DIRECTIONS, 0),
        ("left or right", DIRECTIONS, None),
        ("upwards", DIRECTIONS, None),  # whole words only
        ("not left but right", DIRECTIONS, 1),
        ("it is not left", DIRECTIONS, None),
        ("", DIRECTIONS, None),
        ("...", DIRECTIONS, None),
        ("two", ("1", "2", "3"), 1),
        ("there are 2", ("one", "two", "three"), 1),
        ("2.5", ("2", "5"), None),
        ("-3", ("3", "-3"), 1),
        ("not sarcastic", ("sarcastic", "not sarcastic"), 1),
        ("he is not sarcastic", ("sarcastic", "not sarcastic"), 1),
        ("he is sarcastic", ("sarcastic", "not sarcastic"), 0),
        ("the dark red one", ("red", "dark red"), 1),
        ("circle", ("red circle", "blue square"), 0),
        ("red", ("red circle", "red square"), None),
        ("a", ("a", "b"), 0),
        ("B", ("b", "a"), 0),  # the candidate itself comes before the option letter
        ("yes, it is", ("yes", "no"), 0),
        ("No", ("yes", "no"), 1),
        ("yes and no", ("yes", "no"), None),
        ("a ball", ("ball", "cat"), 0),
        ("ÉTÉ", ("été", "hiver"), 0),
        ("left", ("left", "the left"), 0),
        ("Left!", ("left", "the left"), None),
    ],
)
def test_parse_answer(text, choices, expected):
    assert parse_answer(text, choices) == expected


@given(st.lists(st.text(), min_size=2, max_size=5), st.text())
def test_parse_answer_never_leaves_the_candidates(choices, text):
    found = parse_answer(text, choices)
    assert found is None or 0 <= found < len(choices)


@given(st.integers(0, 3), st.sampled_from(["{}", "The {}.", "it is {}", "I think: {}!", "({})"]))
def test_a_named_candidate_is_found_however_it_is_dressed(index, dress):
    assert parse_answer(dress.format(DIRECTIONS[index].upper()), DIRECTIONS) == index


MVBENCH = ("Ate the medicine.", "Tidied up the blanket.", "Put down the cup/glass/bottle.", "A box")


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize(
    "dress", ["({})", "({}) {}", "{}", "{}.", "({}", "{})", "{}) {}", "{}. {}"]
)
def test_what_models_write_after_mvbenchs_prompt(index, dress):
    """MVBench compares the first word of the answer with the option's letter, "(a)"."""
    written = dress.format("ABCD"[index], MVBENCH[index])
    assert parse_answer(written, MVBENCH) == index


def test_where_mvbenchs_matching_would_guess():
    # its rule takes any first word that is a part of "(a)": "(" or nothing at all is then right
    for written in ("", "(", "a thing", "(C) Ate the medicine."):
        assert parse_answer(written, MVBENCH) is None
