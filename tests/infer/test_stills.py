"""Still-image questions from what is known of a clip."""

from __future__ import annotations

from mtrans.core.records import Prediction
from mtrans.infer.stills import still_questions, things_in


def asked(question: str, video: str | None = "a.mp4", **facts) -> Prediction:
    return Prediction(
        f"{video}-{question}", video, question, "yes", "yes", ("yes", "no"), 0, 0, facts=facts
    )


def test_objects_are_found_in_words() -> None:
    text = "without the red circle, would the blue square hit the green triangle?"
    assert things_in(text) == [("red", "circle"), ("blue", "square"), ("green", "triangle")]
    assert things_in("which way does the red circle move? is the red circle red?") == [
        ("red", "circle")
    ]
    assert things_in("is any red object moving?") == []


def test_a_physics_clip_is_asked_about_the_objects_of_its_own_questions() -> None:
    clip = [
        asked("which way does the red circle move?", world="physics", objects=4),
        asked("which way does the blue square move?", world="physics", objects=4),
    ]
    stills = still_questions(clip)
    assert [(s.type, s.question, s.answer) for s in stills] == [
        ("still shape", "what shape is the red object?", "circle"),
        ("still shape", "what shape is the blue object?", "square"),
        ("still count", "how many objects are there?", "four"),
    ]
    assert all(s.choices is not None and s.choices[s.label or 0] == s.answer for s in stills)
    assert {s.video for s in stills} == {"a.mp4"}
    assert len({s.id for s in stills}) == 3


def test_a_list_of_things_is_complete_so_colours_can_be_asked_for() -> None:
    (clip,) = [asked("what happens?", things="red circle, blue square, green square")]
    found = {(s.type, s.question): s.answer for s in still_questions([clip])}
    assert found[("still colour", "what color is the circle?")] == "red"
    assert ("still colour", "what color is the square?") not in found
    assert found[("still shape", "what shape is the green object?")] == "square"


def test_clips_whose_objects_are_not_known_give_no_question() -> None:
    assert still_questions([asked("is anna sarcastic?", seconds=3.0)]) == []
    # elsewhere two objects may share a colour, so that questions name is not enough
    assert still_questions([asked("what did i pass after the red circle?", world="ego")]) == []
    assert still_questions([asked("how does the red circle move?", None, world="physics")]) == []
