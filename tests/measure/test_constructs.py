"""Rules for linguistic constructs, on sentences whose construct is plain."""

from __future__ import annotations

import pytest

from measure.helpers import choice_prediction
from mtrans.core.records import Turn
from mtrans.measure.constructs import RULES, constructs_in, constructs_of
from mtrans.measure.mistakes import by_construct

SENTENCES = [
    ("I love it when the train is cancelled, but go on.", (), {"contrast"}),
    ("I love this party.", ("How was the awful trip?",), {"contrast"}),
    ("What a great song.", ("How was the lovely trip?",), set()),
    ("I don't love this terrible cake.", (), {"negation"}),
    ("That was the best movie ever!", (), {"hyperbole"}),
    ("I have told you a million times.", (), {"hyperbole"}),
    ("It was sooo long.", (), {"hyperbole"}),
    ("This is very very late.", (), {"hyperbole"}),
    ("Who cares about that?", (), {"rhetorical question"}),
    ("What could go wrong?", (), {"rhetorical question", "contrast"} - {"contrast"}),
    ("Isn\N{RIGHT SINGLE QUOTATION MARK}t it late?", (), {"rhetorical question", "negation"}),
    ("Where do you live?", (), set()),
    ("I never said that.", (), {"negation"}),
    ("He cannot swim.", (), {"negation"}),
    ("We may be a bit late.", (), {"understatement"}),
    ("Not bad.", (), {"negation", "understatement"}),
    ("It could be worse.", (), {"understatement"}),
    ("I am on my way home.", (), set()),
    ("A knot in a nota bene button.", (), set()),
    ("", (), set()),
]


@pytest.mark.parametrize(("said", "before", "wanted"), SENTENCES)
def test_sentences(said: str, before: tuple[str, ...], wanted: set[str]) -> None:
    assert set(constructs_in(said, before)) == wanted


def test_every_construct_has_an_example_and_says_what_counts() -> None:
    found = set().union(*(wanted for _, _, wanted in SENTENCES))
    assert found == {rule.name for rule in RULES}
    assert all(len(rule.about) > 20 for rule in RULES)


def test_the_manifest_overrides_the_rules() -> None:
    turns = (Turn("how was it?", "ben"), Turn("the best trip ever.", "anna"))
    by_rule = choice_prediction(0, 0, 0, context=turns)
    assert constructs_of(by_rule) == ("hyperbole",)
    told = choice_prediction(0, 0, 0, context=turns, facts={"construct": "Contrast, negation"})
    assert constructs_of(told) == ("contrast", "negation")
    none = choice_prediction(0, 0, 0, context=turns, facts={"construct": "none"})
    assert constructs_of(none) == ()
    assert constructs_of(choice_prediction(0, 0, 0)) is None


def test_accuracy_by_construct_counts_an_utterance_for_each_of_its_own() -> None:
    words = {"hyperbole": "the best ever.", "none": "i am home."}
    items = [
        choice_prediction(i, 0, int(name == "none"), type="q", context=(Turn(words[name]),))
        for i, name in enumerate(["hyperbole"] * 6 + ["none"] * 4)
    ]
    rows = {row["construct"]: row for row in by_construct(items, resamples=50)}
    assert rows["hyperbole"]["accuracy"] == 1.0
    assert rows["none"]["accuracy"] == 0.0
    assert (rows["hyperbole"]["n"], rows["none"]["n"]) == (6, 4)
