"""`mtrans export-predictions`, `import-predictions`, `card`, `data card`."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import yaml
from peft import PeftModel

from mtrans.data.adapters import ADAPTERS
from mtrans.measure.predictions import read_predictions, write_predictions
from mtrans.models.loading import load_backbone
from mtrans.models.lora import read_adapter

from .conftest import Command, one_line_error


def header(file: Path) -> dict:
    _, head, _ = file.read_text().split("---\n", 2)
    return yaml.safe_load(head)


def test_there_and_back(mtrans: Command, run: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    done = mtrans("export-predictions", run, "--out", log)
    assert done.status == 0, done.err
    done = mtrans("import-predictions", log, "--out", tmp_path / "back")
    assert done.status == 0, done.err
    ours = read_predictions(run / "predictions.jsonl")
    back = read_predictions(tmp_path / "back" / "predictions.jsonl")
    assert [(p.id, p.answer, p.choice) for p in back] == [(p.id, p.answer, p.choice) for p in ours]
    assert mtrans("compare", run, tmp_path / "back").status == 0
    one_line_error(mtrans("export-predictions", run, "--out", log), "exists already")
    wrong = mtrans("import-predictions", log, "--out", tmp_path / "x", "--format", "jsonl")
    one_line_error(wrong, f"{log}:1: unknown field", "--format lmms-eval")
    ours_again = tmp_path / "ours.jsonl"
    assert mtrans("export-predictions", run, "--out", ours_again, "--format", "jsonl").status == 0
    wrong = mtrans("import-predictions", ours_again, "--out", tmp_path / "x")
    one_line_error(wrong, f"{ours_again}:1: no 'doc_id'", "--format jsonl")
    words = ["--format", "jsonl", "--out", tmp_path / "same"]
    assert mtrans("import-predictions", ours_again, *words).status == 0
    same = tmp_path / "same" / "predictions.jsonl"
    assert same.read_bytes() == (run / "predictions.jsonl").read_bytes()


def test_the_models_card(mtrans: Command, run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run, tmp_path / "run")  # its card is lost at the end
    done = mtrans("card", run)
    assert done.status == 0, done.err
    file = run / "adapter" / "README.md"
    assert header(file)["library_name"] == "peft"
    text = file.read_text()
    info = json.loads((run / "run.json").read_text())
    assert info["data"]["train"]["hash"] in text
    scores = json.loads((run / "scores.json").read_text())["scores"]
    found = next(s for s in scores if not s["slice"])
    assert f"| {found['metric']} | all | {found['value']:.3f} |" in text
    assert mtrans("card", run).status == 0
    record = read_adapter(run / "adapter")
    backbone = load_backbone(record.backbone, record.model)
    PeftModel.from_pretrained(backbone.model, str(run / "adapter"))  # as the card says
    file.write_text("mine")
    one_line_error(mtrans("card", run), "was not written here")


def test_real_clips_are_not_called_drawn(mtrans: Command, run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    record = copy / "adapter" / "mtrans.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"backbone": "tiny"}))
    assert mtrans("card", copy).status == 0
    card = (copy / "adapter" / "README.md").read_text()
    assert "drawn by a program" not in card, "of the clips nothing is known but that they are there"
    assert "still images and texts that a program made" in card
    answers = read_predictions(copy / "predictions.jsonl")
    worlds = [dataclasses.replace(p, facts={"world": "talk"}) for p in answers]
    write_predictions(copy / "predictions.jsonl", worlds)
    assert mtrans("card", copy).status == 0
    assert "drawn by a program" in (copy / "adapter" / "README.md").read_text()


def test_the_hub_gets_a_licence_that_it_knows_or_a_slug(
    mtrans: Command, small: Path, tmp_path: Path
) -> None:
    words = ["--annotations", small / "train.jsonl", "--videos", small, "--out", tmp_path]
    assert mtrans("data", "prepare", "jsonl", *words).status == 0
    record = json.loads((tmp_path / "prepared.json").read_text())
    for name in ADAPTERS:
        adapter = ADAPTERS.get(name)
        record |= {"name": name, "licence": adapter.licence, "source": adapter.source}
        (tmp_path / "prepared.json").write_text(json.dumps(record))
        assert mtrans("data", "card", tmp_path).status == 0
        head = header(tmp_path / "README.md")
        if head["license"] == "other":
            assert re.fullmatch(r"[a-z0-9.-]+", head["license_name"])
            assert head.get("license_link", "https://").startswith("http")
        else:
            assert (name, head["license"]) == ("clevrer", "cc0-1.0")
        assert f"- Licence: {adapter.licence}\n" in (tmp_path / "README.md").read_text()


def test_a_data_sets_card(mtrans: Command, small: Path, tmp_path: Path) -> None:
    one_line_error(mtrans("data", "card", tmp_path), "prepared.json", "mtrans data prepare")
    out = tmp_path / "out"
    words = ["--annotations", small / "train.jsonl", "--videos", small, "--out", out]
    done = mtrans("data", "prepare", "jsonl", *words)
    assert done.status == 0, done.err
    assert mtrans("data", "card", out).status == 0
    record = json.loads((out / "prepared.json").read_text())
    head = header(out / "README.md")
    assert (head["license"], head["license_name"]) == ("other", "jsonl-terms")
    assert "license_link" not in head, "own data have no page"
    (config,) = head["configs"]
    assert [f["split"] for f in config["data_files"]] == list(record["splits"])
    text = (out / "README.md").read_text()
    assert record["annotations"][0]["sha256"] in text
    for split, found in record["splits"].items():
        assert f"| {split} | {found['samples']} | {found['videos']} |" in text
