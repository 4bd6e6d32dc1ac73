"""In `kitchen` every answer is read off the steps, and no question gives its answer away."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mtrans.video.worlds import kitchen
from mtrans.video.worlds import language as words
from mtrans.video.worlds.clip import ClipQuestion
from mtrans.video.worlds.food import ACTIONS, FOODS, TOOLS

COUNT = 3000


@pytest.fixture(scope="module")
def asked() -> list[ClipQuestion]:
    clips = (kitchen.generate(np.random.default_rng(seed)) for seed in range(COUNT))
    return [q for clip in clips for q in clip.questions]


def expected_answer(question: str, steps: list[str]) -> str:
    """Works the answer out from the steps' words alone."""
    if question == words.Q_STEPS:
        return ", ".join(steps) + "."
    if question == words.Q_STEP_FIRST:
        return steps[0]
    if question == words.Q_STEP_LAST:
        return steps[-1]
    said = question.rstrip("?").split()
    food, participle = said[said.index("the") + 1], said[-1]
    (at,) = (i for i, s in enumerate(steps) if s.endswith(f" {food}"))
    assert words.PARTICIPLES[steps[at].split()[0]] == participle
    return steps[at + 1] if "after" in said else steps[at - 1]


def test_answers_follow_from_the_steps() -> None:
    for seed in range(200):
        recipe = kitchen.write_recipe(np.random.default_rng(seed))
        steps = [f"{ACTIONS[s.tool]} the {s.food}" for s in recipe.steps]
        assert len({s.food for s in recipe.steps}) == len(steps) in (3, 4)
        clip = kitchen.generate(np.random.default_rng(seed))
        assert len(clip.questions) == 3
        for question in clip.questions:
            assert question.choices is None
            assert question.answer == expected_answer(question.text, steps), question


def test_steps_follow_each_other_and_fill_the_clip() -> None:
    for seed in range(100):
        recipe = kitchen.write_recipe(np.random.default_rng(seed))
        assert recipe.steps[0].start == 0
        assert recipe.frames / recipe.fps == pytest.approx(recipe.steps[-1].end, abs=0.07)
        for before, after in pairwise(recipe.steps):
            assert before.end == after.start
        for step in recipe.steps:
            assert 1.49 < step.end - step.start < 2.01
        # every step is seen by a model that takes four frames
        times = (np.arange(4) + 0.5) / 4 * recipe.steps[-1].end
        assert all(((s.start <= times) & (times < s.end)).any() for s in recipe.steps)


def test_types_and_answers_are_balanced(asked: list[ClipQuestion]) -> None:
    types = Counter(q.type for q in asked)
    assert types["steps"] == COUNT
    for kind in kitchen.CHANCE:
        assert abs(types[kind] / COUNT - 0.5) < 0.05
        answers = Counter(q.answer for q in asked if q.type == kind)
        assert len(answers) == len(FOODS) * len(TOOLS)
        assert max(answers.values()) < 2 * types[kind] / len(answers)


@pytest.mark.parametrize("kind", list(kitchen.CHANCE))
def test_text_alone_is_at_chance(asked: list[ClipQuestion], kind: str) -> None:
    pairs = [(q.text, q.answer) for q in asked if q.type == kind]
    half = len(pairs) // 2
    by_text: dict[str, Counter[str]] = {}
    for text, answer in pairs[:half]:
        by_text.setdefault(text, Counter())[answer] += 1
    overall = Counter(a for _, a in pairs[:half])
    right = 0
    for text, answer in pairs[half:]:
        guess = by_text.get(text, overall).most_common(1)[0][0]
        right += guess == answer
    chance = kitchen.CHANCE[kind]
    error = np.sqrt(chance * (1 - chance) / (len(pairs) - half))
    assert abs(right / (len(pairs) - half) - chance) < 4 * error


@pytest.mark.parametrize("kind", ["step_after", "step_before"])
def test_the_action_asked_after_says_nothing_of_the_answers(
    asked: list[ClipQuestion], kind: str
) -> None:
    pairs = [(q.text.rstrip("?").split()[-1], q.answer.split()[0]) for q in asked if q.type == kind]
    same = np.mean([words.PARTICIPLES[action] == participle for participle, action in pairs])
    assert abs(same - 1 / len(TOOLS)) < 4 * np.sqrt(0.16 / len(pairs))


def seen_at(recipe: kitchen.Recipe, time: float) -> kitchen.Step:
    return next((s for s in recipe.steps if time < s.end), recipe.steps[-1])


def guess_first_or_last(moment: float, kind: str) -> tuple[float, int]:
    """Learns the asked step's tool from the true state of one frame; accuracy on other clips."""
    rows, tools = [], []
    for seed in range(1600):
        recipe = kitchen.write_recipe(np.random.default_rng(seed))
        shown = seen_at(recipe, moment * recipe.steps[-1].end)
        state = [shown.x, shown.y, shown.food_size, shown.tool_size, shown.tilt, recipe.speed]
        kinds = [shown.tool == t for t in TOOLS] + [shown.food == f for f in FOODS]
        rows.append([*state, *kinds, *recipe.background, *recipe.board])
        tools.append(recipe.steps[0 if kind == "step_first" else -1].tool)
    half = len(rows) // 2
    forest = RandomForestClassifier(60, min_samples_leaf=3, random_state=0)
    forest.fit(rows[:half], tools[:half])
    return float((forest.predict(rows[half:]) == np.array(tools[half:])).mean()), half


@pytest.mark.parametrize(("kind", "shows_it"), [("step_first", 0.05), ("step_last", 0.95)])
def test_the_middle_frame_does_not_tell_the_first_or_last_step(kind: str, shows_it: float) -> None:
    chance = 1 / len(TOOLS)
    accuracy, n = guess_first_or_last(0.5, kind)
    assert accuracy < chance + 2.5 * np.sqrt(chance * (1 - chance) / n)
    assert guess_first_or_last(shows_it, kind)[0] > 0.95  # so the guesser can read a frame


def test_one_frame_tells_no_order_but_by_the_steps_it_leaves_out() -> None:
    """The best reader of one frame says what it sees, unless that is the step that is named.

    What is seen in the middle is the neighbour of the named step often, so this is well above the
    chance of a guess among all answers; a reader of one frame gets no further than this.
    """
    right, several, total = 0, 0, 0
    for seed in range(1500):
        recipe = kitchen.write_recipe(np.random.default_rng(seed))
        steps = [s.text for s in recipe.steps]
        seen = seen_at(recipe, 0.5 * recipe.steps[-1].end).text
        for question in kitchen.generate(np.random.default_rng(seed)).questions:
            if question.type in ("step_after", "step_before"):
                total += 1
                right += question.answer == seen
                several += question.answer == expected_answer(question.text, steps)
    assert several == total > 1000
    assert right / total < 0.5


def test_each_action_moves_in_its_own_way() -> None:
    times = np.linspace(0.2, 1.4, 40)
    spread = {}
    for tool in TOOLS:
        step = kitchen.Step(tool, "egg", 0.0, 1.6, 0.5, 0.65, 0.2, 0.25, 0.0, 0.0)
        poses = np.array([kitchen.tool_pose(step, 2.0, float(t)) for t in times])
        spread[tool] = np.ptp(poses, axis=0) > 0.1
    assert {tool: tuple(map(bool, moves)) for tool, moves in spread.items()} == {
        "knife": (False, True, False),
        "pan": (True, False, False),
        "spoon": (True, True, False),
        "shaker": (False, False, True),
        "tap": (False, False, False),
    }


def test_frames_show_the_steps() -> None:
    recipe = kitchen.write_recipe(np.random.default_rng(1))
    frames = np.stack(list(kitchen.generate(np.random.default_rng(1)).frames)).astype(float)
    assert len(frames) == recipe.frames
    middles = [int((s.start + s.end) / 2 * recipe.fps) for s in recipe.steps]
    within = np.mean([np.abs(frames[m] - frames[m + 1]).mean() for m in middles])
    across = np.mean([np.abs(frames[a] - frames[b]).mean() for a, b in pairwise(middles)])
    assert across > within > 0


def test_a_seed_is_a_clip() -> None:
    a, b, c = (kitchen.generate(np.random.default_rng(s), size=32) for s in (3, 3, 4))
    assert a.questions == b.questions
    assert a.facts == b.facts
    assert a.questions != c.questions
    np.testing.assert_array_equal(np.stack(list(a.frames)), np.stack(list(b.frames)))


@pytest.mark.parametrize(("fps", "seconds"), [(8.0, 3.0), (25.0, 2.0), (1.0, 4.0), (8.0, 0.01)])
def test_length_and_rate_are_as_asked(fps: float, seconds: float) -> None:
    clip = kitchen.generate(np.random.default_rng(0), size=16, fps=fps, seconds=seconds)
    frames = list(clip.frames)
    assert len(frames) == max(1, round(seconds * fps))
    assert frames[0].shape == (16, 16, 3)
    assert frames[0].dtype == np.uint8
