"""docs/RESULTS.md is what its parts say, with the commands that made them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.core.errors import SettingsError
from mtrans.report.results_page import results_page
from mtrans.study.archive import ARCHIVE
from mtrans.study.plan_file import plan_to_dict, read_plan

ROOT = Path(__file__).parents[2]

PLAN = """\
# A small one: `mtrans study run studies/small.yaml --out runs/small`.
data: {world: talk, train: 6, val: 2, test: 4}
contenders: [mtrans, text]
"""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "studies").mkdir()
    file = tmp_path / "studies/small.yaml"
    file.write_text(PLAN)
    folder = tmp_path / "results/talk"
    folder.mkdir(parents=True)
    (folder / "table.md").write_text("About.\n\n### talk\n\n| contender | all |\n|---|---|\n")
    document = {"plan": plan_to_dict(read_plan(file)), "rows": []}
    (folder / "results.json").write_text(json.dumps(document))
    return tmp_path


def test_a_study_has_its_command_table_and_notes(kept: Path) -> None:
    folder = kept / "results/talk"
    (folder / "notes.md").write_text("```\n# no heading\n```\n# One\n")
    for name in ("cost-talk-train-seconds", "curve-talk-lora-rank"):
        (folder / f"{name}.svg").write_text("<svg/>")
    facts = {
        "runs": 2,
        "from": "2026-01-02T03",
        "to": "2026-01-03T03",
        "commits": ["abc1234"],
        "without_commit": 1,
    }
    (folder / "provenance.json").write_text(json.dumps({**facts, "devices": ["a cpu"]}))
    page = results_page(kept / "results", kept / "studies")
    for words in (
        "- [talk](#talk)",
        "`mtrans study run studies/small.yaml --out runs/small` (the plan:",
        "2 runs, 2026-01-02 to 2026-01-03, on a cpu; commit abc1234 (1 of the runs name none);",
        "\n### talk",
        "| contender | all |",
        "what is varied, at equal distances.\n\n![curve-talk-lora-rank](results/talk/curve-talk-",
        "![cost-talk-train-seconds](results/talk/cost-talk-train-seconds.svg)",
        "\n# no heading\n",
        "\n### One",
    ):
        assert words in page, words


def test_routers_and_confidence_stand_below_with_their_commands(kept: Path) -> None:
    folder = kept / "results/talk"
    for kind in ("routing", "calibration"):
        (folder / f"{kind}.md").write_text(f"### {kind} table\n")
        (folder / f"{kind}-talk.svg").write_text("<svg/>")
    page = results_page(kept / "results", kept / "studies")
    for kind in ("routing", "calibration"):
        words = f"`mtrans study {kind} STUDY`.\n\n![{kind}-talk](results/talk/{kind}-talk.svg)"
        assert words in page.partition(f"### {kind} table")[2]


def test_some_rows_of_a_description_have_its_command(kept: Path) -> None:
    file = kept / "studies/small.yaml"
    file.write_text(PLAN.replace("text]", "text, mean]"))
    page = results_page(kept / "results", kept / "studies")
    assert "\nSome rows of `mtrans study run studies/small.yaml --out runs/small` (the" in page


def test_a_description_without_a_kept_row_is_another_one(kept: Path) -> None:
    file = kept / "studies/small.yaml"
    file.write_text(PLAN.replace("[mtrans, text]", "[mean]"))
    page = results_page(kept / "results", kept / "studies")
    assert "studies/small.yaml" not in page


def test_a_kept_plan_may_have_a_name_of_its_own(kept: Path) -> None:
    done = kept / "results/talk/results.json"
    document = json.loads(done.read_text())
    done.write_text(json.dumps({**document, "plan": {**document["plan"], "name": "again"}}))
    page = results_page(kept / "results", kept / "studies")
    assert "\n`mtrans study run studies/small.yaml --out runs/small` (the" in page


def test_some_points_of_a_grid_have_the_command_and_others_have_not(kept: Path) -> None:
    file = kept / "studies/small.yaml"
    done = kept / "results/talk/results.json"
    for values, known in (("[8, 1]", True), ("[1, 3]", False)):
        file.write_text(PLAN + f"vary: {{lora.rank: {values}}}\n")
        done.write_text(json.dumps({"plan": plan_to_dict(read_plan(file)), "rows": []}))
        file.write_text(PLAN + "vary: {lora.rank: [8, 1, 64]}\n")
        page = results_page(kept / "results", kept / "studies")
        assert ("\nSome rows of `mtrans study run studies/small.yaml" in page) == known


def test_kept_answers_are_named_with_how_to_take_them_up(kept: Path) -> None:
    command = "`mtrans study restore docs/results/talk --out STUDY`"
    assert command not in results_page(kept / "results", kept / "studies")
    (kept / "results/talk" / ARCHIVE).write_bytes(b"")
    assert command in results_page(kept / "results", kept / "studies")


def test_a_plan_that_is_no_description_has_no_command(kept: Path) -> None:
    file = kept / "studies/small.yaml"
    file.write_text(PLAN.replace("train: 6", "train: 7"))
    assert "mtrans study run" not in results_page(kept / "results", kept / "studies")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no study"):
        results_page(tmp_path, tmp_path)
    with pytest.raises(SettingsError, match="is no folder"):
        results_page(tmp_path / "nothing", tmp_path)


def test_the_page_in_the_repository_is_up_to_date() -> None:
    page = results_page(ROOT / "docs/results", ROOT / "studies")
    written = (ROOT / "docs/RESULTS.md").read_text(encoding="utf-8")
    assert page == written, "`make results` writes docs/RESULTS.md"
