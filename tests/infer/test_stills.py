"""Still-image questions from what is known of a clip."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mtrans.core.records import Prediction
from mtrans.infer.stills import still_questions
from mtrans.infer.things import all_things, things_in
from mtrans.video.worlds.make import SPEC_FILE, Spec, clip_rng, make_world
from mtrans.video.worlds.physics import make_scene


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


def test_a_physics_clip_without_its_recipe_is_asked_about_what_its_questions_name() -> None:
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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("physics")
    make_world("physics", folder, {"test": 4}, 3, size=16)
    return folder


def clips(world: Path) -> dict[str, list[Prediction]]:
    """The world's questions, rightly answered, by clip."""
    found: dict[str, list[Prediction]] = {}
    for line in (world / "test.jsonl").read_text().splitlines():
        told = json.loads(line)
        video, right = str(world / told["video"]), told["answer"]
        choices, label = tuple(told["choices"]), told["label"]
        p = Prediction(told["id"], video, told["question"], right, right, choices, label, label)
        found.setdefault(video, []).append(dataclasses.replace(p, facts=told["facts"]))
    return found


def test_all_objects_of_a_physics_clip_come_from_its_recipe(world: Path) -> None:
    for index, part in enumerate(clips(world).values()):
        scene = make_scene(clip_rng(Spec("physics", 3, 16), "test", index))
        assert all_things(part) == [(o.colour, o.shape) for o in scene.things]
        shapes = [s for s in still_questions(part) if s.type == "still shape"]
        assert len(shapes) == part[0].facts["objects"]


@pytest.mark.parametrize("what", ["seed", "generator_version", "question", "facts", "gone"])
def test_a_recipe_that_does_not_fit_is_not_believed(world: Path, tmp_path: Path, what: str) -> None:
    recipe = json.loads((world / SPEC_FILE).read_text())
    part = next(iter(clips(world).values()))
    if what in recipe:
        recipe[what] += 1
    elif what == "question":
        part[0] = dataclasses.replace(part[0], question="which way does the red dog move?")
    elif what == "facts":
        part = [dataclasses.replace(p, facts={**p.facts, "collisions": 99}) for p in part]
    if what != "gone":
        (tmp_path / SPEC_FILE).write_text(json.dumps(recipe))
    video = str(tmp_path / "videos" / Path(str(part[0].video)).name)
    assert all_things([dataclasses.replace(p, video=video) for p in part]) is None
