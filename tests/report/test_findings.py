"""docs/FINDINGS.md follows its numbers: the same sentence says yes or no by the interval."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mtrans.app.findings import main
from mtrans.core.errors import MTransError
from mtrans.report.findings import findings

SCORE = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 300, "chance": 0.25}
LINE = {"n": 90, "line": 0.95, "line_low": 0.9, "line_high": 0.99, "line_chance": 0.5}


def sense(value: float, low: float, high: float) -> dict[str, Any]:
    return {**LINE, "sense": value, "sense_low": low, "sense_high": high, "sense_n": 80}


def back(low: float) -> dict[str, Any]:
    row = {"name": "reverse", "flips_change": 0.6, "flips_stay": 0.1, "sensitivity": 0.5}
    row |= {"should_change": 50, "should_stay": 40, "low": low, "high": 0.7, "asked": 30}
    return row | {"followed": 0.8, "followed_low": 0.6, "followed_high": 0.9}


def seen(low: float) -> dict[str, Any]:
    stills = {"accuracy": 0.96, "low": 0.95, "high": 0.97, "n": 500}
    told = {"errors": {"reasoning": 30, "perception": 10}, "difference": 0.05}
    told |= {"low": low, "high": 0.1, "seen_when_wrong": 0.75, "seen_when_right": 0.8}
    unlearned = {**stills, "accuracy": 0.5, "low": 0.48, "high": 0.52}
    return {"own": {**told, "stills": unlearned}, "image_model": {**told, "stills": stills}}


ANALYSIS: dict[str, Any] = {
    "schema": 1,
    "data": "physics",
    "contenders": {
        "mtrans": {
            "directions": sense(0.8, 0.7, 0.9),
            "senses": {"0": 0.75, "1": 0.85},
            "temporal": {"seeds": [2], "rows": [back(0.3)], "by_seed": {"2": 0.5}},
            "routing": {"0": [[0.1, 0.2], [0.0, 0.1]]},
        },
        "text": {"directions": sense(0.55, 0.45, 0.65)},
        "paper": {"directions": sense(0.58, 0.52, 0.64)},
    },
}


def study(*rows: tuple[str, float, float]) -> dict[str, Any]:
    made = [{"contender": "mtrans", "against": None}]
    for name, low, high in rows:
        gap = {"difference": (low + high) / 2, "low": low, "high": high}
        made.append({"contender": name, "against": gap})
    common = {"data": "physics", "point": {}, "overall": SCORE, "seeds": [0, 1]}
    types = {"attribute": {**SCORE, "value": 0.27, "low": 0.2}, "count": SCORE}
    return {
        "plan": {"data": [{"name": "physics", "train": 2000}]},
        "rows": [{**common, "types": types, **row} for row in made],
    }


def page(folder: Path, analysis: dict[str, Any] | None, *studies: dict[str, Any]) -> str:
    (folder / "analysis").mkdir(parents=True)
    if analysis is not None:
        (folder / "analysis" / "physics.json").write_text(json.dumps(analysis))
    for i, document in enumerate(studies):
        (folder / str(i)).mkdir()
        (folder / str(i) / "results.json").write_text(json.dumps(document))
    return findings(folder)


def test_a_study_of_transfer_is_no_comparison_of_designs(tmp_path: Path) -> None:
    document = study(("image-model", -0.7, -0.6))
    assert "What the whole method is worth" in page(tmp_path / "a", ANALYSIS, document)
    document["plan"]["transfer"] = True
    assert "What the whole method is worth" not in page(tmp_path / "b", ANALYSIS, document)


def test_studies_of_one_data_set_are_told_apart_by_name(tmp_path: Path) -> None:
    named = study(("mean", -0.6, -0.5))
    named["plan"]["name"] = "again"
    text = page(tmp_path, ANALYSIS, named)
    assert "`physics` (2000 training clips; physics-again of docs/RESULTS.md)" in text


def test_each_data_set_of_a_study_has_a_finding_of_its_own(tmp_path: Path) -> None:
    document = study(("single", -0.3, -0.2))
    talk = [{**row, "data": "talk", "overall": {**SCORE, "n": 77}} for row in document["rows"]]
    document["rows"] += talk
    document["plan"]["data"].append({"name": "talk", "train": 600})
    text = page(tmp_path, None, document)
    assert "on `physics` (2000 training clips)" in text
    assert "on `talk` (600 training clips)" in text
    assert text.count("`single`: 70.0 %") == 2
    assert "of 77 answers" in text


def test_a_study_whose_differences_are_against_another_is_none_of_mtrans(tmp_path: Path) -> None:
    document = study(("single", -0.3, -0.2))
    for row in document["rows"]:
        row["contender"] = {"mtrans": "single", "single": "mtrans"}[row["contender"]]
    assert "What the whole method is worth" not in page(tmp_path, None, document)


def test_sense_is_held_against_a_model_that_sees_nothing(tmp_path: Path) -> None:
    text = page(tmp_path, ANALYSIS)
    assert "`mtrans`: line 95.0 % (90.0 to 99.0), sense 80.0 % (70.0 to 90.0)" in text
    assert "by seed 75, 85); it sees motion and something of its sense" in text
    # above one half, and not above what text has by luck
    assert "sense 58.0 % (52.0 to 64.0) of those (by seed ); it sees motion, not its" in text


def test_use_of_order_and_routes_follow_their_numbers(tmp_path: Path) -> None:
    text = page(tmp_path / "a", ANALYSIS)
    assert "`mtrans` uses the order of frames: reversed, +50.0 points (30.0 to 70.0)" in text
    assert "(seed 2 +50.0)" in text
    assert "the unbounded one, at the first logged step" in text
    other = copy.deepcopy(ANALYSIS)
    other["contenders"]["mtrans"]["temporal"]["rows"][0]["low"] = -0.1
    other["contenders"]["mtrans"]["routing"] = {"0": [[0.6], [0.1]]}
    text = page(tmp_path / "b", other)
    assert "`mtrans` is not shown to use the order of frames" in text
    assert "Routers learn to decide" in text


def test_ablations_fill_their_table_and_are_named_until_then(tmp_path: Path) -> None:
    plain = study(("concat", -0.3, -0.2), ("mean", -0.1, 0.05))
    text = page(tmp_path / "a", None, plain)
    assert "Not measured yet" in text
    assert "`concat`: 70.0 % (60.0 to 80.0), -25.0 points (-30.0 to -20.0) against it." in text
    assert "(-10.0 to +5.0) against it; no difference is shown." in text
    assert "Not learned: attribute, 27.0 % (20.0 to 80.0), where guessing gives 25.0 %" in text
    parts = study(("no-mqt", -0.3, -0.2), ("no-dar", -0.02, 0.03), ("no-fusion", 0.01, 0.03))
    parts["plan"] |= {"steps": 800, "batch": 96}
    text = page(tmp_path / "b", None, plain, parts)
    assert "Not measured yet" not in text
    assert (
        "| physics | 800 of 96 | MQT | 70.0 % (60.0 to 80.0) | -25.0 [-30.0, -20.0] | costs |"
        in text
    )
    assert "| DAR | 70.0 % (60.0 to 80.0) | +0.5 [-2.0, +3.0] | not shown |" in text
    assert "| UniFusion | 70.0 % (60.0 to 80.0) | +2.0 [+1.0, +3.0] | gains |" in text


def test_other_choices_of_an_ablation_have_a_finding_of_their_own(tmp_path: Path) -> None:
    short = study(("no-mqt-no-dar", -0.3, -0.2), ("dar-hard", -0.02, 0.03), ("outside", 0.1, 0.2))
    about = {"no-mqt-no-dar": {"about": "both"}, "dar-hard": {"about": "one mask"}}
    short["plan"] |= {"name": "ablation-short", "steps": 800, "batch": 96, "contenders": about}
    short["plan"]["data"][0] |= {"steps": 400, "batch": 32}
    text = page(tmp_path, None, short)
    parts, choices = text.split("What another choice would have given")
    assert "| physics | 400 of 32 | MQT and DAR | 70.0 % (60.0 to 80.0) |" in parts
    assert "(`physics`, 400 of 32 questions)" in choices
    assert (
        "| `dar-hard` | one mask | 70.0 % (60.0 to 80.0) | +0.5 [-2.0, +3.0] | not shown" in choices
    )
    assert "no-mqt" not in choices  # it is above
    assert "outside" not in text  # answers of another system, not a choice


def test_nothing_and_damage_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MTransError, match=r"holds no results\.json"):
        findings(tmp_path)
    (tmp_path / "results.json").write_text("{")
    assert main(["write", str(tmp_path)]) == 1
    assert "is damaged" in capsys.readouterr().err
    assert main([]) == 2


def test_whether_seeing_explains_mistakes_follows_its_interval(tmp_path: Path) -> None:
    told = {}
    for name, lows in {"none": (-0.02, -0.01), "all": (0.01, 0.02), "some": (-0.02, 0.02)}.items():
        analysis = copy.deepcopy(ANALYSIS)
        seeds = {str(seed): seen(low) for seed, low in enumerate(lows)}
        analysis["contenders"]["mtrans"]["perception"] = seeds
        told[name] = page(tmp_path / name, analysis)
    assert all("Of 80 mistakes 60 (75.0 %)" in text for text in told.values())
    assert all("unlearns answers about stills" in text for text in told.values())
    assert "is not shown in any seed" in told["none"]
    assert "Seeing matters" in told["all"]
    assert "differs between seeds" in told["some"]
    assert "| 1 | 40 | 75.0 % | 80.0 % | +5.0 points (2.0 to 10.0) |" in told["all"]


def test_a_study_that_another_one_contains_is_not_told_twice(tmp_path: Path) -> None:
    small = study(("paper", -0.2, -0.1))
    large = study(("paper", -0.2, -0.1), ("concat", -0.3, -0.2))
    title = "What the whole method is worth on `physics` (2000 training clips)"
    both = page(tmp_path / "both", None, small, large)
    assert both.count(title) == 1
    assert "`concat`" in both
    assert page(tmp_path / "same", None, small, small).count(title) == 1
    other = copy.deepcopy(small)
    other["rows"][0]["overall"] = {**SCORE, "value": 0.65}
    assert page(tmp_path / "other", None, other, large).count(title) == 2


def test_routers_that_look_at_the_question_are_named(tmp_path: Path) -> None:
    analysis = copy.deepcopy(ANALYSIS)
    router = {"family": "temporal", "layer": 4, "masks": ["all frames", "own frame"]}
    router |= {"agreement": 0.66, "varies": 0.3}
    shares = {"hand": [0.36, 0.64], "sentiment_now": [0.98, 0.02]}
    analysis["contenders"]["mtrans"]["masks"] = [router | {"shares": shares}]
    asked = page(tmp_path / "asked", analysis)
    assert "temporal 4 depends on what is asked: it takes all frames with 36.0 % for hand" in asked
    assert "98.0 % for sentiment now; seeds agree by 0.66 (1: alike)." in asked
    shares["hand"] = [0.97, 0.03]
    alike = page(tmp_path / "alike", analysis)
    assert "No router's choice depends on what is asked." in alike
    assert "depends on what is asked: it takes" not in alike


def test_what_tempers_confidence_with_few_clips_is_named(tmp_path: Path) -> None:
    def scores(ece: float, nll: float) -> list[dict[str, Any]]:
        ends = {"low": ece - 0.01, "high": ece + 0.01}
        return [{"metric": "ece", "value": ece, **ends}, {"metric": "nll", "value": nll, **ends}]

    points = [
        {"data": "talk", "contender": name, "clips": clips, "scores": {"raw": scores(ece, nll)}}
        for name, clips, ece, nll in (
            ("mtrans", 25, 0.3, 1.5),
            ("focal", 25, 0.2, 1.2),
            ("mtrans", 900, 0.01, 0.05),
            ("mtrans", 600, 0.02, 0.1),
            ("focal", 600, 0.05, 0.2),
        )
    ]
    points[0]["scores"]["few"] = scores(0.1, 0.7)
    study = tmp_path / "results" / "talk-calibration"
    study.mkdir(parents=True)
    (study / "calibration.json").write_text(json.dumps({"schema": 1, "points": points}))
    text = page(tmp_path / "results", ANALYSIS)
    assert "few training clips (`talk`; talk-calibration of docs/RESULTS.md)" in text
    few = "`mtrans`, one temperature fitted on a quarter as many clips"
    assert (
        f"25 training clips: calibration error in points least 10.0 (9.0 to 11.0) of {few}" in text
    )
    assert "most 30.0 (29.0 to 31.0) of `mtrans`; -log p of the right candidate is least" in text
    assert f"| {few} | 10.0 (9.0 to 11.0) |  |" in text
    alone = "900 training clips: calibration error in points 1.0 (0.0 to 2.0) of `mtrans`; -log p"
    assert f"{alone} of the right candidate 0.050." in text


def without_ends(found: Any) -> Any:
    """The same, as clips of a single video give it: no interval."""
    if isinstance(found, list):
        return [without_ends(each) for each in found]
    if not isinstance(found, dict):
        return found
    return {
        k: None if k in ("low", "high") or k.endswith(("_low", "_high")) else without_ends(v)
        for k, v in found.items()
    }


def test_a_study_of_one_video_says_what_it_has_and_shows_nothing(tmp_path: Path) -> None:
    analysis = copy.deepcopy(ANALYSIS)
    analysis["contenders"]["mtrans"]["perception"] = {"0": seen(0.02)}
    studies = study(("concat", -0.3, -0.2)), study(("no-mqt", -0.3, -0.2))
    text = page(tmp_path, without_ends(analysis), *map(without_ends, studies))
    assert "None" not in text
    assert "`concat`: 70.0 %, -25.0 points against it; no difference is shown." in text
    assert "| physics |  | MQT | 70.0 % | -25.0 | not shown |" in text
    assert "it is not shown to see motion" in text
    assert "unlearns" not in text
    assert "That mistakes come from not seeing is not shown in any seed." in text
