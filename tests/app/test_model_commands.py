"""`mtrans adapt`, `eval`, `ask`, `report`, `compare` on a tiny random model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.app.commands_model import _main_process, as_turn
from mtrans.core.errors import VideoError
from mtrans.core.records import Turn
from mtrans.data.manifest import read_manifest
from mtrans.measure.score import read_scores
from mtrans.train.run_folder import RunFolder

from .conftest import Command, one_line_error


def test_adapt_writes_a_run_with_the_options(run: Path, small: Path) -> None:
    folder = RunFolder(run)
    settings = folder.settings()
    assert folder.state() == "finished"
    assert settings.train.max_steps == 4
    assert settings.lora.rank == 2
    assert settings.backbone == str(small / "backbone")
    assert folder.info()["steps"] == 4
    assert (folder.adapter / "adapter_model.safetensors").is_file()


def test_adapt_again_leaves_a_finished_run(
    mtrans: Command, run: Path, adapt_words: list[object]
) -> None:
    before = (run / "run.json").read_text()
    done = mtrans(*adapt_words, "--out", run)
    assert done.status == 0
    assert "is finished; nothing to do" in done.err
    assert (run / "run.json").read_text() == before


def test_adapt_again_decodes_nothing_for_the_leak_check(
    mtrans: Command, run: Path, adapt_words: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def load_clip(path: str, *_: object) -> None:
        decoded.append(path)
        raise VideoError(f"{path}: decoded again")

    monkeypatch.setattr("mtrans.data.looks.load_clip", load_clip)
    words = [*adapt_words, "--out", run, "--strict"]
    one_line_error(mtrans(*words), "the splits leak", "8 of 8 videos are in several splits")
    assert decoded == []
    other = ["--set", f"cache_dir={run / 'elsewhere'}"]
    assert "leak" in mtrans(*words, *other).err
    assert len(decoded) == 8  # a cache folder that knows nothing


def test_adapt_into_another_run(mtrans: Command, run: Path, adapt_words: list[object]) -> None:
    done = mtrans(*adapt_words, "--out", run, "--seed", 3)
    one_line_error(done, "train.seed: 0 there, 3 here")


def test_dry_run_says_what_and_does_nothing(
    mtrans: Command, small: Path, adapt_words: list[object], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    words = [*adapt_words, "--out", tmp_path / "run", "--set", f"cache_dir={cache}", "--dry-run"]
    done = mtrans(*words)
    assert done.status == 0, done.err
    assert "8 of 8 clips" in done.out
    assert "4 of 4 samples" in done.out
    # 8 clips x 4 frames x 5 patches x 24 numbers of 4 bytes
    assert "15 KB" in done.out
    assert not (tmp_path / "run").exists()
    kept = sorted(f.name for f in cache.rglob("*") if f.is_file())
    assert kept == ["contents.jsonl", "looks.json"]  # hashes only
    blind = mtrans(*words, "--baseline", "text")
    assert "reads no video" in blind.out
    assert "no cache" in mtrans(*words, "--no-cache").out


def test_adapt_wrong_words(mtrans: Command, adapt_words: list[object], tmp_path: Path) -> None:
    out = ["--out", tmp_path / "x"]
    wrong = mtrans(*adapt_words, *out, "--set", "train.learning_rat=1")
    one_line_error(wrong, "unknown setting 'train.learning_rat'", "train.learning_rate")
    one_line_error(mtrans(*adapt_words, *out, "--preset", "papier"), "did you mean 'paper'")
    one_line_error(mtrans(*adapt_words, *out, "--baseline", "concta"), "did you mean 'concat'")
    one_line_error(mtrans("adapt", *out), "Missing option", "--data", "mtrans adapt --help")
    one_line_error(mtrans("adapt", "--data", tmp_path, *out), "is a folder", "train.jsonl")
    config = tmp_path / "c.yaml"
    config.write_text("preset: mtrans\n")
    both = mtrans(*adapt_words, *out, "--preset", "paper", "--config", config)
    one_line_error(both, "--preset paper", "preset: mtrans")
    assert not (tmp_path / "x").exists()


def test_adapt_with_a_bad_clip(
    mtrans: Command, small: Path, adapt_words: list[object], tmp_path: Path
) -> None:
    samples = read_manifest(small / "train.jsonl")
    lines = [s.to_json() for s in samples]
    lines[3]["video"] = str(tmp_path / "gone.mp4")
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = [*adapt_words, "--data", tmp_path / "bad.jsonl", "--out", tmp_path / "run"]
    one_line_error(mtrans(*words), "gone.mp4", "--skip-bad")
    done = mtrans(*words, "--skip-bad")  # nothing was learned yet: the folder is taken over
    assert done.status == 0, done.err
    assert "never reached a checkpoint; this one takes its place" in done.err
    assert "left out 1 clips" in done.err
    assert not (tmp_path / "run.old-1").exists()
    assert [s["samples"] for s in RunFolder(tmp_path / "run").info()["skipped"]] == [["1-open"]]


def test_eval_prints_intervals_and_chance(mtrans: Command, run: Path, small: Path) -> None:
    done = mtrans("eval", run, "--data", small / "train.jsonl")
    assert done.status == 0
    scores, _ = read_scores(run / "scores.json")
    accuracy = next(s for s in scores if s.metric == "accuracy" and not s.slice)
    line = next(line for line in done.out.splitlines() if "  accuracy " in line)
    assert f"{100 * accuracy.value:.1f}" in line
    assert f"{100 * (accuracy.low or 0):.1f} to {100 * (accuracy.high or 0):.1f}" in line
    assert " 33.3 " in line
    assert str(run / "predictions.jsonl") in done.out


def test_eval_of_other_data_needs_a_name(
    mtrans: Command, run: Path, small: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some.jsonl"
    lines = (small / "train.jsonl").read_text().splitlines()[:4]
    some.write_text("\n".join(lines).replace('"clips/', f'"{small}/clips/') + "\n")
    one_line_error(mtrans("eval", run, "--data", some), "other data", "--out", "--overwrite")
    done = mtrans("eval", run, "--data", some, "--split-name", "some")
    assert done.status == 0, done.err
    assert len((run / "predictions_some.jsonl").read_text().splitlines()) == 4
    assert (run / "scores_some.json").is_file()


@pytest.fixture(scope="module")
def plain(mtrans: Command, small: Path) -> Path:
    """Predictions of the backbone without an adapter."""
    folder = small / "plain"
    data = ["--data", small / "train.jsonl"]
    one_line_error(mtrans("eval", small / "backbone", *data), "give --out")
    done = mtrans("eval", small / "backbone", *data, "--out", folder, "--no-cache")
    assert done.status == 0, done.err
    return folder


def test_compare(mtrans: Command, run: Path, plain: Path, small: Path, tmp_path: Path) -> None:
    done = mtrans("compare", run, plain / "predictions.jsonl")
    assert done.status == 0, done.err
    assert "predictions.jsonl against run" in done.out
    assert "McNemar" in done.out
    assert "8 videos" in done.out
    one_line_error(mtrans("compare", run), "two or more")
    one_line_error(mtrans("compare", run, tmp_path), "can't be read")


def test_report(mtrans: Command, run: Path, plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = mtrans("report", run, "--compare", plain, "--out", out)
    assert done.status == 0, done.err
    assert str(out) in done.out
    assert "<html" in out.read_text()[:200].lower()
    one_line_error(mtrans("report", tmp_path / "none"), "none")
    lines = (run / "predictions.jsonl").read_text().splitlines(keepends=True)
    few = tmp_path / "few"
    few.mkdir()
    (few / "predictions.jsonl").write_text("".join(lines[:3]))
    other = mtrans("report", run, "--compare", few, "--out", tmp_path / "other.html")
    one_line_error(other, "can't compare", "ids of the reference are not in the other run")
    assert (tmp_path / "other.html").is_file()


def test_ask_with_choices(mtrans: Command, run: Path, small: Path) -> None:
    clip, question = small / "clips" / "1.mp4", "which way does the square move ?"
    words = ["ask", run, clip, question, "--choice", "left", "--choice", "right"]
    done = mtrans(*words)
    assert done.status == 0, done.err
    said = done.out.splitlines()[0]
    assert said in ("left", "right")
    answer = json.loads(mtrans(*words, "--json", "--end", "0.5").out)
    assert sum(answer["probabilities"]) == pytest.approx(1)
    assert max(answer["times"]) < 0.5
    other = json.loads(mtrans(*words, "--json", "--context", "a: what is it ?").out)
    assert other["probabilities"] != json.loads(mtrans(*words, "--json").out)["probabilities"]


def test_ask_a_backbone_says_that_it_is_not_adapted(mtrans: Command, small: Path) -> None:
    done = mtrans("ask", small / "backbone", small / "clips" / "1.mp4", "what is it ?")
    assert done.status == 0
    assert "is not adapted to video" in done.err
    blind = json.loads(mtrans("ask", small / "backbone", "-", "what is it ?", "--json").out)
    assert blind["times"] == []


def test_settings_of_a_backbone_and_of_a_run(mtrans: Command, run: Path, small: Path) -> None:
    words = [small / "clips" / "1.mp4", "what is it ?", "--json", "--set", "frames.count=2"]
    answer = json.loads(mtrans("ask", small / "backbone", *words).out)
    assert len(answer["times"]) == 2
    one_line_error(mtrans("ask", run, *words), "frames.count=2", "trained with")


def test_ask_wrong(mtrans: Command, run: Path, small: Path) -> None:
    one_line_error(mtrans("ask", run, small / "no.mp4", "what ?"), "no.mp4", "no such file")
    one_line_error(mtrans("ask", small / "rum", "-", "what ?"), "no folder", "did you mean", "run'")
    one_line_error(mtrans("ask", "nobody/nothing", "-", "what ?"), "'nobody/nothing'")
    one_line_error(mtrans("ask", run, "-", "what ?", "--choice", "a"), "at least two")


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("bob: i love it", Turn("i love it", "bob")),
        ("i love it", Turn("i love it")),
        ("bob:", Turn("bob:")),
    ],
)
def test_context_turns(text: str, turn: Turn) -> None:
    assert as_turn(text) == turn


def test_out_that_cannot_be_written_is_one_line(
    mtrans: Command, run: Path, small: Path, adapt_words: list[object], tmp_path: Path
) -> None:
    file = tmp_path / "clip.mp4"
    file.write_text("x")
    for out in (file, file / "sub"):
        one_line_error(mtrans(*adapt_words, "--out", out), f"'{file}' is a file")
    data = ["--data", small / "train.jsonl"]
    one_line_error(mtrans("eval", run, *data, "--out", file / "x"), f"'{file}' is a file")
    one_line_error(mtrans("report", run, "--out", file / "x.html"), f"'{file}' is a file")
    one_line_error(
        mtrans("worlds", "make", "talk", "--test", 1, "--out", file / "d"), f"'{file}' is a file"
    )
    one_line_error(
        mtrans("export-predictions", run, "--out", file / "x" / "y.jsonl"), f"'{file}' is a file"
    )
    assert file.read_text() == "x"


def test_eval_without_right_answers_writes_predictions(
    mtrans: Command, run: Path, small: Path, tmp_path: Path
) -> None:
    lines = [json.loads(x) for x in (small / "train.jsonl").read_text().splitlines()[:4]]
    for line in lines:
        line["video"] = str(small / line["video"])
        line.pop("answer", None), line.pop("label", None)
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = mtrans("eval", run, "--data", tmp_path / "asked.jsonl", "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert "nothing to score" in done.err
    assert str(tmp_path / "out" / "predictions.jsonl") in done.out
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == 4
    assert not (tmp_path / "out" / "scores.json").exists()


def test_ask_wrongly_or_with_too_few_frames(mtrans: Command, run: Path, small: Path) -> None:
    clip = next((small / "clips").glob("*.mp4"))
    ask = ["ask", run, clip]
    one_line_error(mtrans(*ask, "what ?", "--choice", "one"), "at least two")
    one_line_error(mtrans(*ask, "what ?", "--choice", "one", "--choice", "one"), "given twice")
    one_line_error(mtrans(*ask, " "), "question: empty")
    assert "fewer frames" not in mtrans(*ask, "what is it ?").err
    many = mtrans("ask", small / "backbone", clip, "what is it ?", "--set", "frames.count=20")
    warned = [x for x in many.err.splitlines() if "fewer frames" in x]
    assert len(warned) == 1
    assert warned[0].startswith("warning: 1 clip with fewer frames than frames.count=20")


def test_the_adapter_names_its_base_as_it_was_given_and_has_our_card(
    run: Path, small: Path
) -> None:
    config = json.loads((run / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(small / "backbone")
    card = (run / "adapter" / "README.md").read_text()
    assert "# Video adapter for" in card
    assert "[More Information Needed]" not in card


def test_a_model_that_is_none_is_named_at_once(
    mtrans: Command, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network here")

    clip = next((small / "clips").glob("*.mp4"))
    monkeypatch.setattr("socket.socket.connect", no_network)
    one_line_error(mtrans("ask", "nope", clip, "x"), "there is no model 'nope'", "tiny")
    one_line_error(mtrans("ask", "tinny", clip, "x"), "did you mean 'tiny'?")
    monkeypatch.setattr("mtrans.models.hub.reachable", lambda _: False)
    done = mtrans("ask", "nobody/has-this-one", clip, "x")
    one_line_error(done, "'nobody/has-this-one' is not on this machine", "can't be reached")


@pytest.mark.parametrize(
    ("rank", "processes", "speaks"), [(0, 2, True), (1, 2, False), (1, 1, True)]
)
def test_one_of_several_processes_speaks_also_before_they_have_met(
    rank: int, processes: int, speaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    assert _main_process() == speaks
