"""The first screen: each question answered from numbers, or with the command that measures it."""

from __future__ import annotations

import copy
from typing import Any

from mtrans.core.records import Score
from mtrans.measure.verdict import Answer, verdict


def score(value: float, low: float, high: float, chance: float = 0.25, **slice_: Any) -> Score:
    return Score("accuracy", value, low, high, n=100, clusters=50, slice=slice_, chance=chance)


SCORES = [
    score(0.7, 0.65, 0.75),
    score(0.95, 0.9, 0.98, type="moving_count"),
    score(0.6, 0.5, 0.7, type="moving_direction"),
    score(0.28, 0.2, 0.36, type="moving_attribute"),
    score(0.99, 0.97, 1.0, objects=2),
]


def row(name: str, drop: float, half: float, severity: int = 3, kind: str = "pixels") -> dict:
    return {
        "name": name,
        "kind": kind,
        "severity": severity,
        "accuracy": 0.7 * (1 - drop),
        "drop": drop,
        "drop_low": drop - half,
        "drop_high": drop + half,
    }


ROBUST: dict[str, Any] = {
    "clean": {"chance": 0.25},
    "rows": [
        row("noise", 0.3, 0.05),
        row("noise", 0.6, 0.05, severity=5),
        row("jpeg", 0.02, 0.03),
        row("blank", 0.6, 0.05, severity=5),
        row("still", 0.4, 0.1, severity=5, kind="order"),
    ],
    "temporal": {
        "rows": [
            {
                "name": "reverse",
                "flips_change": 0.6,
                "flips_stay": 0.05,
                "sensitivity": 0.55,
                "low": 0.4,
                "high": 0.7,
                "asked": 40,
                "followed": 0.7,
                "followed_low": 0.6,
                "followed_high": 0.8,
            }
        ]
    },
}


def said(answers: list[Answer], key: str) -> str:
    return " ".join(next(a.lines for a in answers if a.key == key))


def test_types_are_sorted_into_what_it_can_do_and_what_not() -> None:
    found = verdict(SCORES)
    good, bad = said(found, "good"), said(found, "bad")
    assert "70.0 % (65.0 to 75.0) of 100 answers about 50 clips are right" in good
    assert "Right nine times in ten or more: moving count 95.0 %" in good
    assert "not reliable: moving direction 60.0 %" in good
    assert "attribute" not in good
    assert "moving attribute 28.0 % (20.0 to 36.0, guessing 25.0)" in bad


def test_written_answers_are_not_said_to_beat_guessing() -> None:
    scores = [
        Score("exact_match", 0.5, 0.4, 0.6, n=100, clusters=50),
        Score("exact_match", 0.95, 0.9, 0.99, n=50, slice={"type": "first_step"}),
        Score("exact_match", 0.05, 0.0, 0.1, n=50, slice={"type": "steps"}),
    ]
    good = said(verdict(scores), "good")
    assert "guessing" not in good
    assert "more: first step 95.0 % (90.0 to 99.0). Less often: steps 5.0 % (0.0 to 10.0)." in good


def test_confidence_of_mistakes_is_told_where_it_is_known() -> None:
    kinds = {"unread": 0, "no candidate": 0, "nearly right": 0, "sure": 0, "unsure": 0}
    found = {"mistakes": {"wrong": 4, "kinds": {**kinds, "unknown": 4}}}
    assert "80 %" not in said(verdict(SCORES, analysis=found), "bad")
    found = {"mistakes": {"wrong": 4, "kinds": {**kinds, "sure": 1, "unsure": 3}}}
    assert "1 of its 4 mistakes" in said(verdict(SCORES, analysis=found), "bad")


def test_mistakes_of_reasoning_are_told_by_the_eyes_that_see_more() -> None:
    own = {"errors": {"reasoning": 1, "perception": 9}, "answers": {}, "seen": 0.01}
    image = {"errors": {"reasoning": 7, "perception": 3}, "answers": {}, "seen": 0.8}
    found = verdict(SCORES, analysis={"perception": {**own, "image_model": image}})
    assert "7 of 10 mistakes are about clips in which the image model" in said(found, "bad")
    found = verdict(SCORES, analysis={"perception": {**image, "image_model": own}})
    assert "7 of 10 mistakes are about clips in which it tells every" in said(found, "bad")


def test_what_was_not_measured_names_its_command() -> None:
    found = {a.key: a for a in verdict(SCORES)}
    assert not found["time"].known
    assert "mtrans robustness RUN" in found["time"].lines[0]
    assert not found["trust"].known
    assert "maps" not in found
    assert "strange" not in found
    assert verdict([]) == []


def test_use_of_time_follows_the_interval() -> None:
    found = verdict(SCORES, robustness=ROBUST)
    time = said(found, "time")
    assert time.startswith("Yes, it uses the order of frames: played backwards, 60.0 %")
    assert "Of 40 right answers that are others backwards, 70.0 % (60.0 to 80.0)" in time
    assert "With its middle frame alone it loses 40.0 % (30.0 to 50.0)" in time
    blind = copy.deepcopy(ROBUST)
    blind["temporal"]["rows"][0] |= {"low": -0.1, "high": 0.2}
    assert said(verdict(SCORES, robustness=blind), "time").startswith("It is not shown to use")


def test_where_no_answer_backwards_is_known_what_is_lost_tells() -> None:
    known = {**ROBUST, "temporal": {"missing": "of no question is it known"}}
    back = {**known, "rows": [row("reverse", 0.4, 0.1, severity=5, kind="order")]}
    assert said(verdict(SCORES, robustness=back), "time").startswith(
        "Yes, it uses the order of frames: backwards it loses 40.0 % (30.0 to 50.0)"
    )
    same = {**known, "rows": [row("reverse", 0.02, 0.05, severity=5, kind="order")]}
    assert not next(a for a in verdict(SCORES, robustness=same) if a.key == "time").known
    assert said(verdict(SCORES, robustness=known), "time").startswith("It needs more than one")


def test_disturbances_are_compared_at_one_strength_and_black_is_told_apart() -> None:
    calm = said(verdict(SCORES, robustness=ROBUST), "calm")
    assert "At medium strength these cost the most of its right answers: noise 30.0 %." in calm
    assert "Less than a tenth is lost to JPEG compression." in calm
    assert "Shown nothing but black, it is right in 28.0 % (guessing 25.0 %)." in calm


def test_without_right_answers_nothing_is_said_of_what_disturbs() -> None:
    lost = {"accuracy": 0.0, "drop": None, "drop_low": None, "drop_high": None}
    none = {**ROBUST, "rows": [row("noise", 0.0, 0.0) | lost]}
    assert said(verdict(SCORES, robustness=none), "calm").startswith("Nothing can be said")


def trust(gap: float, low: float, high: float) -> dict[str, Any]:
    values = {"overconfidence": gap, "accuracy": 0.7, "ece": 0.06, "confidence_auroc": 0.8}
    scores = [{"metric": k, "value": v, "low": low, "high": high} for k, v in values.items()]
    half = {"coverage": 0.5, "accuracy": 0.9, "low": 0.85, "high": 0.95}
    return {"calibration": {"variants": [{"scores": scores, "selective": [half]}]}}


def test_confidence_is_called_what_its_interval_says() -> None:
    sure = said(verdict(SCORES, analysis=trust(0.06, 0.03, 0.09)), "trust")
    assert "It is too sure by 6.0 points (3.0 to 9.0): it claims 76.0 %" in sure
    assert "mtrans calibrate RUN" in sure
    shy = said(verdict(SCORES, analysis=trust(-0.06, -0.09, -0.03)), "trust")
    assert "It is not sure enough by 6.0 points (3.0 to 9.0): it claims 64.0 %" in shy
    assert "calibrate" not in shy
    assert said(verdict(SCORES, analysis=trust(0.01, -0.02, 0.03)), "trust").startswith(
        "On average"
    )


def test_confidence_about_a_single_clip_is_not_called_good() -> None:
    single = trust(0.2, 0.1, 0.3)
    for score in single["calibration"]["variants"][0]["scores"]:
        score |= {"low": None, "high": None}
    told = said(verdict(SCORES, analysis=single), "trust")
    assert told.startswith("A single clip can't tell: it claims 90.0 %")


def test_maps_and_strange_clips_stand_there_once_measured() -> None:
    maps = {
        "n": 12,
        "chance": 0.05,
        "maps": [{"name": "rollout", "better": 0.5, "low": 0.2, "high": 0.8}],
    }
    distance = {"auroc": 0.9, "low": 0.8, "high": 0.95, "warned_known": 0.05, "warned_strange": 0.6}
    ood = {"rows": [{"name": "talk", "scores": {"distance": distance}}]}
    found = verdict(SCORES, maps=maps, ood=ood)
    assert "rollout 50.0 % (20.0 to 80.0)" in said(found, "maps")
    assert "distance in 90.0 % (80.0 to 95.0)" in said(found, "strange")
    assert "warns of 60.0 % of them, and of 5.0 % of known clips" in said(found, "strange")
