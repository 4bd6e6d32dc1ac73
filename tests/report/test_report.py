from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtrans.core.errors import CheckpointError
from mtrans.core.records import Prediction
from mtrans.core.settings import load_settings
from mtrans.measure.compare import compare
from mtrans.measure.predictions import PredictionsError, read_predictions, write_predictions
from mtrans.measure.score import read_scores, score_predictions
from mtrans.report.build import build, unlike
from mtrans.report.contents import changed_settings
from mtrans.report.read import read_run
from report.run_folder_factory import make_run

SKILL = {"moving_direction": 0.7, "moving_count": 0.5, "counterfactual": 0.35}
VOID = {"meta", "link", "img", "br", "hr", "input", "polyline", "line", "circle", "rect"}


class Page(HTMLParser):
    """Collects text, tags and attributes, and fails on tags that don't close."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path, Path]:
    root = tmp_path_factory.mktemp("runs")
    videos = root / "videos"
    low = {name: 0.25 for name in SKILL}
    return (
        make_run(root / "ours", skill=SKILL, videos=videos, n=60),
        make_run(root / "text", skill=low, baseline="text", videos=videos, n=60, seed=1),
        make_run(
            root / "concat",
            skill={**SKILL, "moving_direction": 0.3},
            baseline="concat",
            videos=videos,
            n=60,
            seed=2,
            visual_tokens=32,
        ),
    )


@pytest.fixture(scope="module")
def whole(folders) -> tuple[str, Page]:
    html = build(folders[0], compare=folders[1:]).read_text(encoding="utf-8")
    return html, Page(html)


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    (to / "report.html").unlink(missing_ok=True)
    return to


def test_nothing_is_fetched_from_anywhere(whole):
    html, page = whole
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            if value is not None:
                assert value.startswith(("data:image/", "#")), (tag, name, value)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("iframe")
    assert "url(" not in html
    assert "@import" not in html
    policy = page.all("meta")[2]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in str(policy["content"])


def test_every_overall_score_is_there_with_interval_and_chance(folders, whole):
    text = whole[1].text
    scores, _ = read_scores(folders[0] / "scores.json")
    overall = [s for s in scores if not s.slice]
    assert len(overall) == 4
    for s in overall:
        assert f"{s.value * 100:.1f}" in text
        assert f"{s.low * 100:.1f} to {s.high * 100:.1f}" in text
    assert f"Accuracy is {overall[0].value * 100:.1f} %" in text
    assert "Guessing gives 25.0 %" in text


def test_the_first_screen_answers_in_short(folders, whole, tmp_path):
    html, page = whole
    assert html.index('<section id="short">') < html.index('<section id="results">')
    text = page.text
    assert "What is it good at?" in text
    assert "Not measured; mtrans robustness RUN does." in text
    assert "Does it notice strange clips?" not in text
    run = copy(folders[0], tmp_path / "known")
    distance = {"auroc": 0.9, "low": 0.8, "high": 1.0, "warned_known": 0.0, "warned_strange": 0.5}
    row = {"name": "talk", "scores": {"distance": distance}}
    (run / "ood.json").write_text(json.dumps({"schema": 1, "known": 9, "rows": [row]}))
    said = Page(build(run).read_text(encoding="utf-8")).text
    assert "talk: a strange clip is told from a known one by distance in 90.0 %" in said
    (run / "ood.json").write_text("{")  # damaged: as if it were not there
    assert "strange clip" not in Page(build(run).read_text(encoding="utf-8")).text


def test_every_part_of_the_breakdown_is_there(folders, whole):
    text = whole[1].text
    scores, _ = read_scores(folders[0] / "scores.json")
    parts = [s for s in scores if s.slice]
    assert {next(iter(s.slice)) for s in parts} == {"type", "facts.objects", "facts.speed"}
    for s in parts:
        ((key, value),) = s.slice.items()
        shown = str(value).replace("_", " ") if key == "type" else str(value)
        row = f"{shown} {s.value * 100:.1f}{s.low * 100:.1f} to {s.high * 100:.1f}"
        assert row.replace(" ", "") in text.replace(" ", "")


def test_contenders_are_compared_with_the_first(folders, whole):
    text = whole[1].text
    for other in folders[1:]:
        (c,) = compare(
            folders[0] / "predictions.jsonl", other / "predictions.jsonl", metrics=["accuracy"]
        )
        assert c.difference < 0
        assert f"\N{MINUS SIGN}{abs(c.difference) * 100:.1f}" in text
        assert other.name in text
    assert "pool=concat" in text
    assert "vision=false" in text
    assert "32" in text


def test_run_cost_and_settings_are_told(whole):
    text = whole[1].text
    for part in (
        "51,234 of 2,345,678",
        "3 min 7 s",
        "812 MiB (process)",
        "0123456789abcdef",
        "aa11",
        "x86_64 cpu, 2 threads",
        "3.11.7",
        "lora.targets",
        "query, key, value, output",
        "mtrans adapt --backbone tiny",
    ):
        assert part in text, part
    assert "/usr/local/bin" not in text


def test_curves_have_a_spoken_description_with_their_numbers(whole):
    labels = [
        svg.get("aria-label") or "" for svg in whole[1].all("svg") if svg.get("role") == "img"
    ]
    starts = [label.partition(":")[0] for label in labels]
    assert starts[:3] == ["Loss", "Validation", "Learning rate"]
    assert "gate" in starts[3]
    assert "at step 400" in labels[0]
    assert whole[0].count("<polyline") == 2 + 1 + 1 + 3


def test_confusion_matrix_counts_every_question(whole):
    html = whole[0]
    matrix = re.search(r'<table class="matrix">.*?</table>', html, re.DOTALL)
    assert matrix is not None
    counts = [int(c) for c in re.findall(r"<td[^>]*>(\d+)</td>", matrix.group())]
    assert sum(counts) == 60
    hits = [int(c) for c in re.findall(r'<td class="hit"[^>]*>(\d+)</td>', matrix.group())]
    assert len(hits) == 8
    accuracy = re.search(r"Accuracy is <strong>([\d.]+)\s%", html)
    assert accuracy is not None
    assert sum(hits) / 60 * 100 == pytest.approx(float(accuracy.group(1)), abs=0.05)


def test_clips_show_the_sampled_frames_and_the_probabilities(folders, whole):
    page = whole[1]
    images = page.all("img")
    assert len(images) == 8 * 4  # four best and four worst, four frames each
    data = base64.b64decode(str(images[0]["src"]).partition("base64,")[2])
    assert Image.open(io.BytesIO(data)).size == (64, 64)
    assert images[0]["alt"] == "frame at 0.20 seconds"
    predictions = read_predictions(folders[0] / "predictions.jsonl")
    right = [p for p in predictions if p.choice == p.label]
    surest = max(right, key=lambda p: p.probabilities[p.choice])
    wrong = [p for p in predictions if p.choice != p.label]
    worst = max(wrong, key=lambda p: p.probabilities[p.choice])
    for p in (surest, worst):
        assert p.id in page.text
        for probability in p.probabilities:
            assert f"{probability * 100:.1f} %" in page.text


def test_synthetic_data_are_called_so_and_real_footage_is_not(folders, whole, tmp_path):
    assert "Synthetic test bench with known truth" in whole[1].text
    real = make_run(tmp_path / "real", skill=SKILL, world=None, n=12)
    assert "Synthetic" not in build(real).read_text()
    info = json.loads((real / "run.json").read_text())
    info["data"]["train"]["world"] = "kitchen"
    (real / "run.json").write_text(json.dumps(info))
    text = Page(build(real).read_text()).text
    assert "Synthetic test bench with known truth" in text
    assert "kitchen" in text


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("run.json", "No run.json"),
        ("settings.yaml", "No settings.yaml"),
        ("log.jsonl", "No log.jsonl"),
        ("predictions.jsonl", "No predictions, so no scores: run `mtrans eval"),
    ],
)
def test_a_missing_part_is_named_and_the_rest_is_shown(folders, tmp_path, file, said):
    run = copy(folders[0], tmp_path / "run")
    (run / file).unlink()
    page = Page(build(run).read_text())
    assert said in page.text
    others = {
        "run.json": "0123456789abcdef",
        "settings.yaml": "lora.targets",
        "log.jsonl": "Learning curves",
        "predictions.jsonl": "Accuracy is",
    }
    for name, mark in others.items():
        assert (mark in page.text) == (name != file), name


def test_a_vanished_video_is_named_and_costs_only_its_frames(folders, tmp_path):
    run = make_run(tmp_path / "run", skill=SKILL, n=12)
    page = Page(build(run).read_text())
    assert "no frames" in page.text
    assert "clip000.mp4" in page.text
    assert not page.all("img")
    assert "Surest right answers" in page.text


def test_questions_and_names_of_others_are_escaped(folders, tmp_path):
    evil = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    run = copy(folders[0], tmp_path / "run")
    (run / "scores.json").unlink()
    items = read_predictions(run / "predictions.jsonl")
    choices = (evil, "b")
    items = [
        Prediction(
            id=f"{evil}{i}",
            video=p.video,
            question=evil,
            answer=choices[i % 2],
            target=evil,
            choices=choices,
            label=0,
            choice=i % 2,
            type=f"{evil}{i % 2}",
            facts={f"a{evil}": i % 3},
            error=None if i else evil,
            parse="scored" if i else "failed",
        )
        for i, p in enumerate(items)
    ]
    write_predictions(run / "predictions.jsonl", items)
    (run / "log.jsonl").write_text(json.dumps({"step": 1, evil: 1.0, f"val_{evil}": 0.5}) + "\n")
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "device": evil, evil: {evil: evil}}))
    html = build(run).read_text()
    page = Page(html)
    assert not page.all("script")
    assert all(str(i["src"]).startswith("data:") for i in page.all("img"))
    assert "<script" not in html
    assert page.text.count(evil) > 5


def test_open_answers_get_their_own_metrics_and_clips(tmp_path):
    run = tmp_path / "run"
    items = [
        Prediction(
            id=str(i),
            video=None,
            question="What comes next?",
            answer=("pour the oil", "cut an onion")[i % 2],
            target="pour oil",
            type=("order", "content")[i % 2],
        )
        for i in range(10)
    ]
    run.mkdir()
    write_predictions(run / "predictions.jsonl", items)
    page = Page(build(run).read_text())
    assert "Exact match is" in page.text
    assert "ROUGE-L" in page.text
    assert "METEOR" in page.text
    assert "confusion" not in page.text.lower()
    assert "cut an onion" in page.text
    # "pour the oil" is near "pour oil", and not called right
    assert "Answers nearest to the right ones" in page.text
    assert "Surest right" not in page.text


def test_scores_that_belong_to_other_predictions_are_measured_again(folders, tmp_path):
    run = copy(folders[0], tmp_path / "run")
    items = [
        dataclasses.replace(p, choice=p.label, answer=p.target)
        for p in read_predictions(run / "predictions.jsonl")
    ]
    write_predictions(run / "predictions.jsonl", items)
    assert "Accuracy is 100.0 %" in Page(build(run).read_text()).text


def test_what_intervals_draw_is_called_what_it_is(folders, tmp_path):
    run = copy(folders[0], tmp_path / "run")
    answers = read_predictions(run / "predictions.jsonl")
    grouped = [dataclasses.replace(p, group=f"g{i % 5}") for i, p in enumerate(answers)]
    write_predictions(run / "predictions.jsonl", grouped)
    score_predictions(run / "predictions.jsonl", resamples=200, cluster="group")
    text = Page(build(run).read_text()).text
    assert f"of {len(answers)} answers about 5 groups are right" in text
    assert "draws of whole groups" in text
    assert "about 5 clips" not in text


def test_damaged_scores_are_measured_again(folders, tmp_path):
    run = copy(folders[0], tmp_path / "run")
    good = (run / "scores.json").read_text()
    (run / "scores.json").write_text(good[:100])
    assert "Accuracy is" in Page(build(run).read_text()).text
    assert (run / "scores.json").read_text() == good


def test_runs_on_other_samples_are_said_not_to_compare(folders, tmp_path):
    other = make_run(tmp_path / "other", skill=SKILL, n=30)
    page = Page(build(folders[0], out=tmp_path / "x.html", compare=[other]).read_text())
    assert "not comparable: 30 ids of the reference are not in the other run" in page.text


def test_settings_are_held_against_their_preset():
    for preset in ("mtrans", "paper"):
        settings = load_settings(preset=preset, overrides=["train.seed=3"])
        changed = [k for k, v in changed_settings(settings).items() if v]
        assert changed == ["train.seed"]


def test_runs_that_cannot_be_compared_are_named(folders, tmp_path):
    other = make_run(tmp_path / "other", skill=SKILL, n=30)
    (line,) = unlike(folders[0], [folders[1], other])
    assert line.startswith("other: 30 ids of the reference are not in the other run")


def test_runs_of_the_same_name_are_told_apart(folders, tmp_path):
    twin = copy(folders[1], tmp_path / "elsewhere" / "ours")
    page = Page(build(folders[0], out=tmp_path / "x.html", compare=[twin]).read_text())
    assert "elsewhere/ours" in page.text


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        build(tmp_path / "none")
    with pytest.raises(CheckpointError, match="not a run folder"):
        build(tmp_path)
    (tmp_path / "predictions.jsonl").write_text("{}\n")
    with pytest.raises(PredictionsError, match=r"predictions\.jsonl:1: field 'id'"):
        build(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        build(tmp_path)


def test_large_frames_are_scaled_down_to_jpeg():
    from mtrans.report.frames import to_picture

    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    picture = to_picture(pixels, 1.5)
    assert picture.uri.startswith("data:image/jpeg;base64,")
    assert (picture.width, picture.height, picture.seconds) == (213, 160, 1.5)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("runs/mine", "mine"),
        ("talk/mtrans/seed-0", "talk/mtrans/seed-0"),
        ("talk/mtrans/rate-0.004-seed-12", "talk/mtrans/rate-0.004-seed-12"),
        ("runs/linseed-oil", "linseed-oil"),
    ],
)
def test_a_run_of_a_study_is_called_by_what_it_is_a_seed_of(tmp_path, place, name):
    assert read_run(make_run(tmp_path / place, skill=SKILL, n=4)).name == name
