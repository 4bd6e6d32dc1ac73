"""What must not give the answer away: the question's words, and one frame where time matters.

The guessers get the world's *true* states, more than any model could see. The same guesser with
two moments must do well, so these tests can fail.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction import DictVectorizer

from mtrans.video.worlds import ego, physics
from mtrans.video.worlds.shapes import COLOURS, SHAPES

CLIPS = 400
WORLDS = {"physics": physics.make_scene, "ego": ego.make_scene}
PHYSICS_TYPES = (
    "object_existence",
    "moving_direction",
    "moving_count",
    "moving_attribute",
    "counterfactual",
)
EGO_TYPES = ("pass_after", "pass_before", "pass_first", "pass_last", "pass_count")


@lru_cache
def scenes(world, seed):
    return [WORLDS[world](np.random.default_rng([seed, i])) for i in range(CLIPS)]


def questions(world, seed, kind):
    return [(s, q) for s in scenes(world, seed) for q in s.questions if q.type == kind]


def guess(world, kind, features, target):
    """Trains on one half of the clips; returns accuracy on the other, its size and chance."""
    train, test = (questions(world, seed, kind) for seed in (11, 12))
    known, asked = (np.array([features(s, q) for s, q in part]) for part in (train, test))
    wanted = [target(q) for _, q in train]
    forest = RandomForestClassifier(80, min_samples_leaf=2, random_state=0).fit(known, wanted)
    hits = forest.predict(asked) == np.array([target(q) for _, q in test])
    return hits.mean(), len(test), max(np.unique(wanted, return_counts=True)[1]) / len(train)


def at_chance(accuracy, n, chance):
    return accuracy < chance + 2.5 * np.sqrt(chance * (1 - chance) / n)


# --- the words alone ----------------------------------------------------------------------------


def text_features(world, kind):
    def words(q):
        bag = {f"word {w}": 1.0 for w in q.text.split()}
        bag["whole " + q.text] = 1.0
        return bag | {f"choice {i} {c}": 1.0 for i, c in enumerate(q.choices or ())}

    vectors = DictVectorizer(sparse=False).fit(
        [words(q) for seed in (11, 12) for _, q in questions(world, seed, kind)]
    )
    return lambda _scene, q: vectors.transform(words(q))[0]


@pytest.mark.parametrize("kind", PHYSICS_TYPES)
def test_physics_questions_do_not_tell_their_answer(kind):
    accuracy, n, _ = guess("physics", kind, text_features("physics", kind), lambda q: q.label)
    chance = 1 / len(questions("physics", 12, kind)[0][1].choices)
    assert n > 90
    assert at_chance(accuracy, n, chance)


# --- one frame ----------------------------------------------------------------------------------


FEATURES = 3 + 1 + len(COLOURS) + len(SHAPES)


def thing_features(thing, place):
    colour = [thing.colour == c for c in COLOURS]
    return [*place, thing.r, *colour, *(thing.shape == s for s in SHAPES)]


def physics_features(moments):
    """States of the asked thing(s) first, then of all, in each of the moments (0 to 1)."""

    def features(scene, q):
        states = scene.track.states
        frames = [int(m * len(states)) for m in moments]
        asked = [i for i, t in enumerate(scene.things) if t.colour in q.text.split()]
        if q.type == "moving_attribute":
            colours = [t.colour for t in scene.things]
            asked = [colours.index(c) for c in q.choices]
        rest = [i for i in range(len(scene.things)) if i not in asked]
        if asked:  # nearest first
            x, y = states[len(states) // 2, asked[0], :2]
            middle = states[len(states) // 2]
            rest.sort(key=lambda i: np.hypot(middle[i, 0] - x, middle[i, 1] - y))
        row = [q.text.endswith(f"{d}?") for d in physics.DIRECTIONS] + [len(scene.things)]
        for f in frames:
            for i in asked + rest:
                row += thing_features(scene.things[i], states[f, i])
            row += [0.0] * (FEATURES * (5 - len(scene.things)))
        first, last = states[frames[0], :, :2], states[frames[-1], :, :2]
        way = last - first
        ordered = np.zeros((5, 2))
        ordered[: len(scene.things)] = way[asked + rest]
        row += list(ordered.ravel())
        row += [float(np.sum(np.abs(way).max(axis=1) > 0.08))]
        return np.array(row, float)

    return features


@pytest.mark.parametrize("kind", PHYSICS_TYPES[:4])
def test_the_middle_frame_does_not_tell_motion(kind):
    accuracy, n, _ = guess("physics", kind, physics_features([0.5]), lambda q: q.label)
    chance = 1 / len(questions("physics", 12, kind)[0][1].choices)
    assert at_chance(accuracy, n, chance)


@pytest.mark.parametrize("kind", PHYSICS_TYPES[:4])
def test_two_moments_do_tell_motion(kind):
    accuracy, _, _ = guess("physics", kind, physics_features([0.125, 0.875]), lambda q: q.label)
    chance = 1 / len(questions("physics", 12, kind)[0][1].choices)
    assert accuracy > chance + 0.25


@pytest.mark.parametrize("kind", EGO_TYPES)
def test_ego_questions_do_not_tell_their_answer(kind):
    accuracy, n, _ = guess("ego", kind, text_features("ego", kind), lambda q: q.answer)
    # an answer is any of 40 shapes, after and before any but the one named
    chance = 1 / len(ego.LANDMARKS) if kind == "pass_count" else 1 / 39
    assert n == CLIPS
    assert at_chance(accuracy, n, chance)


def order_of_two(moments):
    """For every clip with two landmarks in view: their states in a random order, who is first."""
    rows, first = [], []
    for seed in (11, 12):
        for k, scene in enumerate(scenes("ego", seed)):
            frames = [int(m * len(scene.camera)) for m in (0.5, *moments)]
            places = np.array([(o.x, o.y) for o in scene.landmarks])
            offset = places[None] - scene.camera[frames, None]
            seen = np.flatnonzero(np.abs(offset[0]).max(axis=1) < 0.5)
            if len(seen) == 2:
                swap = k % 2
                a, b = seen[::-1] if swap else seen
                looks = [x for i in (a, b) for x in thing_features(scene.landmarks[i], (0, 0, 0))]
                way = offset[-1, a] - offset[0, a]
                row = [*offset[:, a].ravel(), *offset[:, b].ravel(), *looks]
                rows.append([*row, way @ (offset[0, b] - offset[0, a])])
                first.append(swap)
    half = len(rows) // 2
    forest = RandomForestClassifier(80, min_samples_leaf=2, random_state=0)
    forest.fit(rows[:half], first[:half])
    return (forest.predict(rows[half:]) == first[half:]).mean(), len(rows) - half


def test_one_frame_does_not_tell_what_was_passed_first():
    accuracy, n = order_of_two([])
    assert n > 100
    assert at_chance(accuracy, n, 0.5)


def test_two_moments_tell_what_was_passed_first():
    accuracy, _ = order_of_two([0.55])
    assert accuracy > 0.85
