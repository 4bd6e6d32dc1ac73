"""`mtrans adapt` on a tiny random model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.core.errors import VideoError
from mtrans.data.manifest import read_manifest
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


def test_the_adapter_names_its_base_as_it_was_given_and_has_our_card(
    run: Path, small: Path
) -> None:
    config = json.loads((run / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(small / "backbone")
    card = (run / "adapter" / "README.md").read_text()
    assert "# Video adapter for" in card
    assert "[More Information Needed]" not in card
