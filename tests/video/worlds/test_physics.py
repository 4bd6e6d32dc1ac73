"""`physics`: what is said is what was simulated and drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mtrans.video.worlds import physics
from mtrans.video.worlds.dynamics import Thing, render, simulate
from mtrans.video.worlds.language import NUMBERS
from mtrans.video.worlds.shapes import COLOURS


@pytest.fixture(scope="module")
def scenes():
    return [physics.make_scene(np.random.default_rng([3, i])) for i in range(250)]


def ways(scene):
    """Displacement of every thing from the first to the last frame, float64[N, 2]."""
    return scene.track.states[-1, :, :2] - scene.track.states[0, :, :2]


def asked(scenes, kind):
    return [(s, q) for s in scenes for q in s.questions if q.type == kind]


def thing(scene, name):
    return [o.name for o in scene.things].index(name)


def test_bodies_follow_straight_lines_and_pass_on_their_momentum():
    a = Thing("red", "circle", 0.2, 0.5, 0.1, vx=0.3)
    b = Thing("blue", "circle", 0.7, 0.5, 0.1)
    free = simulate([a], frames=17, fps=8)
    np.testing.assert_allclose(free.states[-1, 0, :2], [0.2 + 0.3 * 2, 0.5], atol=1e-6)
    hit = simulate([a, b], frames=25, fps=8)
    assert hit.contacts == {(0, 1)}
    velocity = (hit.states[-1] - hit.states[-2])[:, 0] * 8
    assert velocity.sum() == pytest.approx(0.3, abs=1e-3)
    assert velocity[1] > 0.25  # nearly all of it
    removed = simulate([a, b], frames=25, fps=8, removed=1)
    assert not removed.contacts
    assert np.isnan(removed.states[:, 1]).all()


def test_drag_slows_down():
    a = Thing("red", "circle", 0.2, 0.5, 0.1, vx=0.3)
    x = simulate([a], frames=25, fps=8, drag=0.5).states[-1, 0, 0]
    assert x == pytest.approx(0.2 + 0.3 * (1 - np.exp(-0.5 * 3)) / 0.5, abs=0.01)


def test_a_scene_has_three_to_five_things_of_different_colours(scenes):
    assert {len(s.things) for s in scenes} == {3, 4, 5}
    for s in scenes:
        assert len({o.colour for o in s.things}) == len(s.things)
        assert all(0.085 <= o.r <= 0.14 for o in s.things)


def test_directions_are_those_of_the_track(scenes):
    axis = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}
    found = asked(scenes, "moving_direction")
    for s, q in found:
        way = ways(s)[thing(s, q.text.removeprefix("which way does the ").removesuffix(" move?"))]
        k, sign = axis[q.answer]
        assert way[k] * sign > 0.15
        assert abs(way[1 - k]) < 0.2 * abs(way[k])
    assert set(Counter(q.answer for _, q in found)) == set(axis)


def test_counts_and_existence_are_those_of_the_track(scenes):
    for s, q in asked(scenes, "moving_count"):
        assert q.answer == NUMBERS[int((np.abs(ways(s)).max(axis=1) > 0.1).sum())]
    for s, q in asked(scenes, "object_existence"):
        (i,) = (i for i, o in enumerate(s.things) if o.colour in q.text.split())
        assert (q.answer == "yes") == (np.abs(ways(s)[i]).max() > 0.1)


def test_what_rests_rests_and_nothing_touches_in_motion_clips(scenes):
    for s in scenes:
        if all(q.type != "counterfactual" for q in s.questions):
            way = np.abs(ways(s)).max(axis=1)
            assert ((way < 1e-6) | (way > 0.15)).all()
            assert not s.track.contacts


def test_attribute_names_the_only_thing_that_moves_so(scenes):
    for s, q in asked(scenes, "moving_attribute"):
        direction = q.text.removeprefix("what color is the object that moves ").removesuffix("?")
        movers = [
            o.colour
            for i, o in enumerate(s.things)
            if physics.direction_of(s.track.displacement(i, o.r)) == direction
        ]
        assert movers == [q.answer]
        assert len(set(q.choices)) == 4
        assert set(q.choices) <= {o.colour for o in s.things}


def test_counterfactuals_are_balanced_and_not_told_by_what_happened(scenes):
    found = asked(scenes, "counterfactual")
    answers = Counter(q.answer for _, q in found)
    assert answers["yes"] == answers["no"] > 50
    table = Counter()
    for s, q in found:
        removed, rest = q.text.removeprefix("without the ").split(", would the ")
        first, second = rest.removesuffix("?").split(" hit the ")
        pair = tuple(sorted((thing(s, first), thing(s, second))))
        assert thing(s, removed) not in pair
        table[pair in s.track.contacts, q.answer] += 1
    # all four cases, often enough that the actual contact is no answer
    assert min(table[h, a] for h in (True, False) for a in ("yes", "no")) > 5


def test_a_blocker_is_answered_by_simulation():
    lane = [
        Thing("red", "circle", 0.1, 0.5, 0.1, vx=0.32),
        Thing("blue", "circle", 0.5, 0.5, 0.1),
        Thing("green", "circle", 0.85, 0.5, 0.1),
    ]
    track = simulate(lane, frames=24, fps=8)
    cases = physics._cases(lane, track, 24, 8, 0.0)
    assert (1, 0, 2, False, True) in cases


def test_pictures_show_the_track():
    things = [Thing("red", "circle", 0.25, 0.75, 0.12)]
    (frame,) = render(things, simulate(things, frames=1, fps=8), size=64, background=(20, 20, 20))
    assert frame.shape == (64, 64, 3)
    assert tuple(frame[48, 16]) == COLOURS["red"]
    assert tuple(frame[16, 48]) == (20, 20, 20)


@pytest.mark.parametrize(("size", "fps", "seconds"), [(64, 8.0, None), (96, 5.0, 2.0)])
def test_a_clip_has_the_size_and_length_asked_for(size, fps, seconds):
    clip = physics.generate(np.random.default_rng(0), size=size, fps=fps, seconds=seconds)
    frames = list(clip.frames)
    assert len(frames) == clip.facts["frames"] == round((seconds or 3) * fps)
    assert frames[0].shape == (size, size, 3)
    assert {"objects", "moving", "collisions", "seconds", "speed", "occlusion"} <= set(clip.facts)


def test_a_seed_is_a_clip():
    one, two, other = (physics.generate(np.random.default_rng(k)) for k in (5, 5, 6))
    assert one.questions == two.questions
    assert one.facts == two.facts
    assert all(np.array_equal(a, b) for a, b in zip(one.frames, two.frames, strict=True))
    assert one.questions != other.questions
