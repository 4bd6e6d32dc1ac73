"""Shortcuts and gaps: what reads the speaker only is caught, what is fair is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats.contingency import association

from measure.helpers import choice_prediction
from mtrans.measure.bias import bias, cramers_v, guess
from mtrans.measure.gaps import _dealer, accuracy_gap, odds_gap
from mtrans.measure.intervals import clusters_of
from mtrans.measure.predictions import PredictionsError

YES_NO = ("yes", "no")
NAMES = ("anna", "ben", "carl", "dora")


def clips(n: int, seed: int, *, answer, label=None) -> list:
    """One yes-or-no question a clip; `answer(speaker, label, rng)` is what the model says."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        speaker = str(rng.choice(NAMES))
        truth = int(rng.integers(2)) if label is None else label(speaker, rng)
        choice = answer(speaker, truth, rng)
        out.append(choice_prediction(i, truth, choice, choices=YES_NO, speaker=speaker, type="q"))
    return out


def reads_speaker(speaker: str, truth: int, rng) -> int:
    return NAMES.index(speaker) % 2


def fair(speaker: str, truth: int, rng) -> int:
    return truth if rng.random() < 0.8 else 1 - truth


def shortcut(items: list) -> dict:
    (column,) = bias(items, resamples=300)["columns"]
    assert column["name"] == "speaker"
    return column["shortcuts"][0]


def test_a_predictor_that_reads_the_speaker_only_is_caught() -> None:
    found = shortcut(clips(300, 0, answer=reads_speaker))
    assert found["answers"]["with"] == 1.0
    assert found["answers"]["low"] > 0.3
    # the data are not to blame
    assert found["truth"]["low"] <= 0


def test_labels_that_the_speaker_gives_away_are_caught() -> None:
    found = shortcut(
        clips(
            300,
            1,
            answer=fair,
            label=lambda s, rng: int(rng.random() < 0.1 + 0.27 * NAMES.index(s)),
        )
    )
    assert found["truth"]["low"] > 0.05
    assert found["association"] > 0.3


def test_a_fair_predictor_is_not_accused() -> None:
    accused = 0
    for seed in range(12):
        found = shortcut(clips(200, 50 + seed, answer=fair))
        accused += any(found[key]["low"] > 0 for key in ("truth", "answers"))
    assert accused <= 1


def test_guesses_never_see_their_own_video() -> None:
    # a label for every video, told apart by nothing but the video itself
    labels = [str(i // 3) for i in range(60)]
    of_group, _ = guess(labels, labels, np.arange(60) // 3)
    assert all(a != b for a, b in zip(of_group, labels, strict=True))


def test_cramers_v_equals_scipys() -> None:
    rng = np.random.default_rng(0)
    groups, labels = rng.choice(list("abc"), 200), rng.choice(["yes", "no"], 200)
    table = [[int(np.sum((groups == g) & (labels == y))) for y in ("yes", "no")] for g in "abc"]
    assert cramers_v(groups, labels) == pytest.approx(association(np.array(table), "cramer"))
    assert cramers_v(["a", "b", "a", "b"], ["y", "n", "y", "n"]) == 1.0
    assert cramers_v(["a", "b"], ["y", "y"]) == 0.0


def test_the_equalised_odds_difference_by_hand() -> None:
    # anna: yes is said in 8 of 10 yes, 4 of 10 no; ben: 5 of 10 yes, 3 of 10 no
    table = {("anna", 0): 8, ("anna", 1): 4, ("ben", 0): 5, ("ben", 1): 3}
    items = []
    for (speaker, label), yes in table.items():
        for k in range(10):
            choice = 0 if k < yes else 1
            items.append(
                choice_prediction(len(items), label, choice, choices=YES_NO, speaker=speaker)
            )
    groups = [p.speaker for p in items]
    odds = odds_gap(items, groups, resamples=100)
    assert odds.value == pytest.approx(0.3)
    assert odds.where[0] == "yes"
    # right: anna 8 + 6 of 20, ben 5 + 7 of 20
    assert accuracy_gap(items, groups, resamples=100).value == pytest.approx(0.1)


def test_a_gap_that_is_there_has_a_small_p_value_and_noise_has_not() -> None:
    def worse_for_dora(speaker: str, truth: int, rng) -> int:
        return truth if rng.random() < (0.5 if speaker == "dora" else 0.85) else 1 - truth

    items = clips(400, 2, answer=worse_for_dora)
    gap = accuracy_gap(items, [p.speaker for p in items], resamples=200)
    assert gap.p < 0.01
    assert gap.low < gap.value < gap.high
    noise = [clips(200, seed, answer=fair) for seed in range(20, 32)]
    found = [accuracy_gap(n, [p.speaker for p in n], resamples=20).p for n in noise]
    assert sum(p < 0.05 for p in found) <= 2


def test_of_many_columns_none_differs_by_more_than_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtrans.measure.gaps.DEALS", 100)
    rng = np.random.default_rng(0)
    items = [
        choice_prediction(
            i,
            int(rng.integers(2)),
            int(rng.integers(2)),
            choices=YES_NO,
            facts={f"fact {k}": str(rng.choice(["a", "b"])) for k in range(12)},
        )
        for i in range(120)
    ]
    columns = bias(items, resamples=2)["columns"]
    assert len(columns) == 12
    alone = [
        accuracy_gap(items, [p.facts[c["name"]] for p in items], resamples=2).p for c in columns
    ]
    assert min(alone) < 0.05  # one by one, a column that says nothing differs
    assert min(c[key]["p"] for c in columns for key in ("gap", "odds")) > 0.05


def test_groups_are_dealt_to_videos_not_to_questions() -> None:
    # eight videos with 25 questions that are right or wrong together say little about two groups
    items = []
    for video in range(8):
        for k in range(25):
            choice = 0 if video in (0, 1, 2, 5) else 1
            group = "a" if video < 4 else "b"
            items.append(
                choice_prediction(
                    len(items),
                    0,
                    choice,
                    choices=YES_NO,
                    video=f"{video}",
                    group=group,
                    id=f"{video}-{k}",
                )
            )
    assert int(clusters_of(items).max()) == 7
    gap = accuracy_gap(items, [p.group for p in items], resamples=50)
    assert gap.value == pytest.approx(0.5)
    assert gap.p > 0.2


def test_videos_of_several_groups_exchange_them_all_at_once() -> None:
    videos = np.array([0, 0, 1, 1, 2, 2, 2, 3, 3, 4])
    groups = np.array([0, 1, 0, 0, 2, 1, 0, 1, 1, 0])
    deal = _dealer(groups, videos)
    drawn = [deal(np.random.default_rng(seed)) for seed in range(200)]
    pairs = {tuple(map(tuple, d[[[0, 1], [2, 3], [7, 8]]].tolist())) for d in drawn}
    assert len(pairs) == 6  # every order of the three videos with two questions
    assert all(sorted(p) == [(0, 0), (0, 1), (1, 1)] for p in pairs)
    alone = {tuple(d[4:7].tolist()) for d in drawn}
    assert len(alone) == 6
    assert all(d[9] == 0 for d in drawn)


def test_candidates_of_each_questions_own_make_no_table_of_all_pairs() -> None:
    own = [
        choice_prediction(i, 0, i % 2, choices=(f"right {i}", f"wrong {i}"), speaker=NAMES[i % 2])
        for i in range(3000)
    ]
    speakers = [p.speaker for p in own]
    assert odds_gap(own, speakers, resamples=20) is None  # no right answer occurs twice
    shared = clips(200, 3, answer=reads_speaker)
    alone = odds_gap(shared, [p.speaker for p in shared], resamples=20)
    both = [*shared, *(replace(p, id=f"own {p.id}", type="q") for p in own)]
    found = odds_gap(both, [p.speaker for p in both], resamples=20)
    assert (found.value, found.where) == (alone.value, alone.where)


def test_a_group_of_one_video_has_no_accuracy_where_it_is_not_drawn() -> None:
    items = [choice_prediction(i, 0, int(i % 5 == 0), speaker="many") for i in range(200)]
    items += [
        choice_prediction(i, 0, int(i > 207), speaker="one", video="/clips/same.mp4")
        for i in range(200, 210)
    ]
    gap = accuracy_gap(items, [p.speaker for p in items], resamples=300)
    assert gap.value == pytest.approx(0)
    assert gap.high < 0.2  # was 0.8: in a third of the draws it had none right


def test_columns_are_words_and_a_wrong_name_is_told() -> None:
    items = [
        choice_prediction(i, i % 2, 0, choices=YES_NO, facts={"show": "ab"[i % 2], "speed": i / 9})
        for i in range(60)
    ]
    assert [c["name"] for c in bias(items, resamples=20)["columns"]] == ["show"]
    named = bias(items, ["show"], resamples=20)["columns"][0]
    assert {g["name"]: g["share"] for g in named["groups"]} == {"a": 1.0, "b": 1.0}
    with pytest.raises(PredictionsError, match="shwo"):
        bias(items, ["shwo"])


def test_ages_are_cut_into_quantiles_other_numbers_only_by_name() -> None:
    items = [
        choice_prediction(i, i % 2, 0, choices=YES_NO, facts={"age": 20 + i, "speed": i / 9})
        for i in range(60)
    ]
    (age,) = bias(items, resamples=20)["columns"]
    assert [(g["name"], g["n"]) for g in sorted(age["groups"], key=lambda g: g["name"])] == [
        ("20 to 34", 15), ("35 to 49", 15), ("50 to 64", 15), ("65 to 79", 15),
    ]  # fmt: skip
    assert [c["name"] for c in bias(items, ["speed"], resamples=20)["columns"]] == ["speed"]
