"""A plan's keys are checked, its grid is full, and its runs lie where they always did."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from mtrans.core.errors import SettingsError
from mtrans.core.settings import BASELINES, PRESETS
from mtrans.study.parts import CONTENDERS
from mtrans.study.plan import StudyPlan
from mtrans.study.plan_file import EXAMPLE, plan_from_dict, plan_to_dict, read_plan, write_plan
from mtrans.study.tables import about

OUT = Path("out")
DATA = {"world": "talk", "train": 6, "val": 2, "test": 4}


def plan(**changes) -> StudyPlan:
    return plan_from_dict({"data": DATA, "contenders": ["mtrans", "single"], **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contender": ["mtrans"]}, "unknown key 'contender'; did you mean 'contenders'"),
        ({"data": {**DATA, "tain": 3}}, "unknown key 'data.tain'; did you mean 'train'"),
        ({"contenders": ["mtrnas"]}, "unknown contender 'mtrnas'; did you mean 'mtrans'"),
        ({"contenders": {"x": {"presets": "paper"}}}, "'contenders.x.presets'; did you mean"),
        ({"contenders": {"x": {"preset": "papre"}}}, "unknown preset 'papre'; did you mean"),
        ({"set": {"lora.ranks": 2}}, "unknown setting 'set.lora.ranks'; did you mean 'lora.rank'"),
        ({"vary": {"lora.rank": 4}}, "wanted a list"),
        ({"vary": {"lora.rank": ["four"]}}, "vary.lora.rank='four': wanted int"),
        ({"vary": {"lora.rank": [4, 4]}}, "occurs twice"),
        ({"set": {"train.seed": 4}}, "the plan's 'seeds' says this"),
        ({"search": {"lora.rank": [1, 2]}, "vary": {"lora.rank": [1, 2]}}, "both varied"),
        ({"data": {**DATA, "train": "a.jsonl"}}, "wanted a number of clips"),
        ({"data": {"train": 3, "test": 4}}, r"wanted a manifest \(or name a world\)"),
        ({"data": [DATA, DATA]}, "two sets are called talk"),
        ({"data": {**DATA, "name": "../x"}}, "names a folder"),
        (
            {"data": {**DATA, "val": None}, "search": {"lora.rank": [1, 2]}},
            "data.val is missing",
        ),
        ({"data": {**DATA, "set": {"train.max_steps": 3}}}, "'steps' says this"),
        ({"data": {**DATA, "set": {"lora.ranks": 2}}}, "unknown setting 'data.set.lora.ranks'"),
        (
            {"data": {**DATA, "search": {"lora.rank": [1, 2]}}, "vary": {"lora.rank": [1, 2]}},
            "both varied",
        ),
        ({"vary": {"clips": [3, 7]}}, "vary.clips=7: 'talk' has 6 training clips; wanted at"),
        ({"vary": {"clips": [0]}}, "vary.clips=0: at least one clip"),
        ({"vary": {"fraction": [0.5, 1.5]}}, "vary.fraction=1.5: wanted a number above 0"),
        ({"seeds": []}, "one seed"),
        ({"seeds": [1, 1]}, "one occurs twice"),
    ],
)
def test_mistakes_are_named(changes, words):
    with pytest.raises(SettingsError, match=words):
        plan(**changes)


def test_a_plan_without_data_or_a_file_that_is_none(tmp_path):
    with pytest.raises(SettingsError, match="no 'data'"):
        plan_from_dict({"contenders": ["mtrans"]})
    with pytest.raises(SettingsError, match="can't be read"):
        read_plan(tmp_path / "nothing.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(SettingsError, match="must hold key: value"):
        read_plan(tmp_path / "list.yaml")
    (tmp_path / "latin.yaml").write_bytes(
        "data: \N{LATIN SMALL LETTER E WITH ACUTE}".encode("latin-1")
    )
    with pytest.raises(SettingsError, match="is not YAML"):
        read_plan(tmp_path / "latin.yaml")


def test_the_example_is_a_plan_and_writing_is_the_inverse_of_reading(tmp_path):
    made = plan_from_dict(yaml.safe_load(EXAMPLE))
    assert made.contenders["paper"].search == {"train.learning_rate": (1e-4, 4e-4, 1e-3)}
    assert made.contenders["no-routing"].set == {"model.routing": "off"}
    write_plan(made, tmp_path / "plan.yaml")
    assert read_plan(tmp_path / "plan.yaml") == made
    varied = plan(vary={"model.masks_per_layer": [[1, 2], [1, 1]], "clips": [2, 3]})
    assert plan_from_dict(plan_to_dict(varied)) == varied


def test_manifests_are_relative_to_the_plan(tmp_path):
    (tmp_path / "plan.yaml").write_text(
        "data: {train: a.jsonl, test: b.jsonl}\ncontenders: [mtrans]\nseeds: [1]\n"
    )
    made = read_plan(tmp_path / "plan.yaml")
    job = made.job(made.variants()[0], {}, 1, OUT)
    assert (job.train, job.val, job.test) == (tmp_path / "a.jsonl", None, tmp_path / "b.jsonl")
    assert job.name == "clips/mtrans/seed-1"


def test_contenders_by_name_are_presets_and_baselines():
    assert set(CONTENDERS) == {*PRESETS, *BASELINES}
    made = plan_from_dict({"data": DATA, "contenders": list(CONTENDERS), "preset": "paper"})
    jobs = {v.contender: made.job(v, {}, 0, OUT) for v in made.variants()}
    assert jobs["mtrans"].settings(OUT).preset == "mtrans"
    assert jobs["text"].settings(OUT).preset == "paper"
    assert not jobs["text"].settings(OUT).model.vision


def test_the_grid_is_full_and_leaves_alone_what_makes_a_contender():
    made = plan(
        vary={"frames.count": [2, 8], "lora.rank": [4, 16]},
        search={"train.learning_rate": [4e-3, "1e-3"]},
        set={"frames.count": 3, "lora.alpha": 4},
        steps=10,
    )
    rows = [(v.contender, dict(v.point)) for v in made.variants()]
    assert rows == [
        *(("mtrans", {"frames.count": f, "lora.rank": r}) for f in (2, 8) for r in (4, 16)),
        *(("single", {"lora.rank": r}) for r in (4, 16)),
    ]
    last = made.variants()[-1]
    assert [c["train.learning_rate"] for c in last.candidates] == [1e-3, 4e-3]
    settings = made.job(last, last.candidates[0], 7, OUT).settings(OUT)
    assert settings.frames.count == 1
    assert (settings.lora.rank, settings.lora.alpha) == (16, 4)
    assert (settings.train.seed, settings.train.max_steps) == (7, 10)
    assert (settings.train.learning_rate, settings.train.evaluate_every) == (1e-3, 2)
    assert settings.train.precision != "auto"
    name = made.job(made.variants()[0], {"train.learning_rate": 4e-3}, 0, OUT).name
    assert name == "talk/mtrans/frames.count-2_lora.rank-4/rate-0.004-seed-0"
    assert len({made.job(v, c, 0, OUT).name for v in made.variants() for c in v.candidates}) == 12


def test_a_data_set_may_have_its_own_budget_settings_and_search(tmp_path):
    own = {
        **{"world": "kitchen", "frames": 8, "steps": 40, "batch": 32},
        **{"set": {"train.schedule": "cosine"}, "search": {"train.learning_rate": [4e-3]}},
    }
    made = plan(
        data=[DATA, {**DATA, **own}],
        set={"train.schedule": "trapezoid", "lora.dropout": 0.1},
        search={"train.learning_rate": [1e-3, 2e-3]},
        **{"frames": 4, "steps": 20},
    )
    talk, kitchen = (
        [made.job(v, c, 0, OUT) for v in made.variants() if v.data is data for c in v.candidates]
        for data in made.data
    )
    assert [job.name for job in kitchen] == [
        "kitchen/mtrans/rate-0.004-seed-0",
        "kitchen/single/rate-0.004-seed-0",  # one frame is what it is
    ]
    keys = ("frames.count", "train.max_steps", "train.batch_size", "train.schedule", "lora.dropout")
    assert [talk[0].values.get(k) for k in keys] == [4, 20, None, "trapezoid", 0.1]
    assert [kitchen[0].values.get(k) for k in keys] == [8, 40, 32, "cosine", 0.1]
    assert "frames.count" not in kitchen[1].values
    assert [job.values["train.learning_rate"] for job in talk[:2]] == [1e-3, 2e-3]
    write_plan(made, tmp_path / "study.yaml")
    assert read_plan(tmp_path / "study.yaml") == made
    told = about(made)
    assert "talk: 6 training clips, 4 test clips, 4 frames, 20 steps." in told
    assert "kitchen: 6 training clips, 4 test clips, 8 frames, 40 steps of 32 questions." in told
    alike = about(plan(data=[DATA, {**DATA, "world": "kitchen"}], frames=4, steps=20))
    assert "4 test clips. 4 frames, 20 steps, 3 seed(s)." in alike


def test_rows_are_compared_with_the_first_contender_at_the_same_point():
    made = plan(contenders=["mtrans", "text"], vary={"lora.rank": [2, 4]})
    found = {v.label: made.reference(v) for v in made.variants()}
    assert {k: v.label if v else None for k, v in found.items()} == {
        "mtrans, lora.rank=2": None,
        "mtrans, lora.rank=4": "mtrans, lora.rank=2",
        "text, lora.rank=2": "mtrans, lora.rank=2",
        "text, lora.rank=4": "mtrans, lora.rank=4",
    }


def test_a_setting_that_the_first_contender_fixes_is_no_axis_to_compare_along():
    made = plan(contenders=["single", "mtrans"], vary={"frames.count": [2, 4], "lora.rank": [2, 8]})
    found = {v.label: made.reference(v) for v in made.variants() if v.contender == "mtrans"}
    assert {k: v.label for k, v in found.items()} == {
        f"mtrans, frames.count={frames}, lora.rank={rank}": f"single, lora.rank={rank}"
        for frames in (2, 4)
        for rank in (2, 8)
    }


def test_values_that_differ_have_folders_that_differ():
    made = plan(vary={"lora.dropout": [0.1234567, 0.1234568, 0.1]}, search={})
    names = [made.job(v, {}, 0, OUT).name for v in made.variants() if v.contender == "mtrans"]
    assert len(set(names)) == 3
    assert any(name.endswith("lora.dropout-0.1/seed-0") for name in names)


def test_a_key_that_stands_twice_is_named(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text("data: {world: talk, train: 2, test: 1}\ncontenders:\n  mtrans:\n  mtrans:\n")
    with pytest.raises(SettingsError, match=r"line 4: 'mtrans' was already on line 3"):
        read_plan(file)


def test_own_candidates_replace_the_common_ones():
    made = plan(
        contenders={"mtrans": None, "paper": {"search": {"train.learning_rate": [1e-4]}}},
        search={"train.learning_rate": [1e-3, 2e-3]},
    )
    assert [len(v.candidates) for v in made.variants()] == [2, 1]
    assert made.contenders["paper"].preset == "paper"


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("file", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda f: f.stem)
def test_the_plans_of_the_repository_are_plans(file):
    made = read_plan(file)
    assert all(
        made.job(variant, chosen, 0, OUT).plain_settings().train.max_steps
        for variant in made.variants()
        for chosen in variant.candidates
    )
    assert f"mtrans study run studies/{file.name} --out runs/" in file.read_text()


def test_the_page_on_studies_names_every_key_and_its_plan_is_one():
    page = (ROOT / "docs/studies.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    made = plan_from_dict(yaml.safe_load(example))
    assert made.transfer
    assert made.budget(made.data[0]) == (4, 800, 96)
    keys = {field.name for field in dataclasses.fields(StudyPlan)} - {"overrides", "preset"}
    assert {key for key in keys if f"`{key}`" not in page} == set()
