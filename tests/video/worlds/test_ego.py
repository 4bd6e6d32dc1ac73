"""`ego`: what was passed when is what the camera's path says."""

from __future__ import annotations

import numpy as np
import pytest

from mtrans.video.worlds import ego
from mtrans.video.worlds.language import NUMBERS
from mtrans.video.worlds.shapes import COLOURS
from mtrans.video.worlds.stills import Placed


@pytest.fixture(scope="module")
def scenes():
    return [ego.make_scene(np.random.default_rng([4, i])) for i in range(100)]


def nearest_times(scene):
    places = np.array([(o.x, o.y) for o in scene.landmarks])
    return np.linalg.norm(places[None] - scene.camera[:, None], axis=-1).argmin(axis=0)


def test_landmarks_are_listed_as_passed(scenes):
    for s in scenes:
        assert (np.diff(nearest_times(s)) > 0).all()
        assert len({o.name for o in s.landmarks}) == len(s.landmarks)
        assert all(0.12 <= o.r <= 0.17 for o in s.landmarks)
    assert {len(s.landmarks) for s in scenes} == {3, 4, 5}


def test_answers_follow_the_order(scenes):
    for s in scenes:
        names = [o.name for o in s.landmarks]
        by_type = {q.type: q for q in s.questions}
        assert by_type["pass_first"].answer == names[0]
        assert by_type["pass_last"].answer == names[-1]
        assert by_type["pass_count"].answer == NUMBERS[len(names)]
        for kind, step in (("pass_after", 1), ("pass_before", -1)):
            q = by_type[kind]
            named = q.text.split(" the ")[1].removesuffix("?")
            assert names.index(q.answer) == names.index(named) + step
            assert q.choices is None
            assert q.label is None


def test_four_frames_show_every_landmark(scenes):
    """The default sampling takes four frames: what they never show can't be asked."""
    missed = total = 0
    for s in scenes:
        frames = [int((k + 0.5) / 4 * len(s.camera)) for k in range(4)]
        places = np.array([(o.x, o.y) for o in s.landmarks])
        offset = np.abs(places[None] - s.camera[frames][:, None]).max(axis=-1)
        missed += int((offset.min(axis=0) > 0.5).sum())
        total += len(s.landmarks)
    assert missed < 0.02 * total


def test_an_unclear_order_is_refused():
    camera = np.stack([np.linspace(0, 1, 20), np.zeros(20)], axis=1)
    near, far = Placed("red", "circle", 0.3, 0.1, 0.1, 0.0), Placed("red", "ring", 0.6, 0.8, 0.1, 0)
    later = Placed("blue", "circle", 0.8, 0.0, 0.1, 0.0)
    assert ego.passing_order(camera, [later, near]) == [1, 0]
    assert ego.passing_order(camera, [near, far]) is None
    assert ego.passing_order(np.concatenate([camera, camera[::-1]]) * 2, [near]) is None


def test_pictures_show_what_the_camera_sees():
    landmark = Placed("red", "circle", 5.25, 3.0, 0.15, 0.0)
    scene = ego.EgoScene((landmark,), np.array([[5.0, 3.0], [5.25, 3.0]]), 6.0, (), {})
    first, second = ego.render(scene, np.random.default_rng(0), size=64)
    assert tuple(first[32, 48]) == COLOURS["red"]
    assert tuple(second[32, 32]) == COLOURS["red"]
    assert tuple(second[32, 56]) != COLOURS["red"]


def test_a_seed_is_a_clip_of_the_length_asked_for():
    one, two = (ego.generate(np.random.default_rng(5), size=32, seconds=4) for _ in range(2))
    frames = list(one.frames)
    assert one.questions == two.questions
    assert all(np.array_equal(a, b) for a, b in zip(frames, two.frames, strict=True))
    assert len(frames) == one.facts["frames"] == 24
    assert frames[0].shape == (32, 32, 3)
    assert {"landmarks", "seconds", "speed", "occlusion"} <= set(one.facts)
