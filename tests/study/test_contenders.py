"""The command of the long studies: its options, and where its runs have always been."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtrans.core.errors import SettingsError
from mtrans.core.settings import BASELINES, PRESETS
from mtrans.study.contenders import MAIN, main, parse


def test_defaults_are_the_main_contenders_on_two_worlds():
    plan, out, workers = parse([])
    assert (out, workers) == (Path("runs/contenders"), 1)
    assert [(d.name, d.train, d.val, d.test, d.seed) for d in plan.data] == [
        ("physics", 600, 100, 400, 0),
        ("talk", 600, 100, 400, 0),
    ]
    assert list(plan.contenders) == list(MAIN)
    assert set(MAIN) <= {*PRESETS, *BASELINES}
    assert (plan.frames, plan.steps, plan.batch, plan.seeds) == (4, 800, 32, (0, 1, 2))
    job = plan.job(plan.variants()[0], plan.variants()[0].candidates[0], 2, out)
    assert job.name == "physics/mtrans/rate-0.004-seed-2"
    assert job.train == out / "data" / "physics" / "train.jsonl"
    settings = job.settings(out)
    assert settings.cache_dir == str(out.resolve() / "cache")
    assert settings.train.evaluate_every == 160


def test_own_rates_and_overrides_for_everybody():
    words = "--worlds talk --contenders mtrans paper single --rates 2e-3 4e-3 --steps 4"
    words += " --rates-of paper=1e-4,4e-4,1e-3 --set lora.rank=2 --set frames.count=7"
    plan, out, _ = parse(words.split())
    rates = {v.contender: [c["train.learning_rate"] for c in v.candidates] for v in plan.variants()}
    assert rates == {
        "mtrans": [2e-3, 4e-3],
        "paper": [1e-4, 4e-4, 1e-3],
        "single": [2e-3, 4e-3],
    }
    for variant in plan.variants():
        settings = plan.job(variant, variant.candidates[0], 0, out).settings(out)
        assert (settings.lora.rank, settings.frames.count) == (2, 7)


def test_wrong_names_and_rates_are_named(capsys):
    for words, wanted in (
        ("--contenders papre", "unknown contender 'papre'; did you mean 'paper'"),
        ("--contenders mtrans --rates-of paper=1", "unknown contender 'paper'"),
        ("--rates-of paper", "wanted a contender and its rates"),
    ):
        with pytest.raises(SettingsError, match=wanted):
            parse(words.split())
    with pytest.raises(SystemExit, match="error: unknown contender 'x'"):
        main(["--contenders", "x"])


def test_it_runs_and_prints_its_table(small, tmp_path, capsys):
    words = "--worlds talk --contenders mtrans --train 3 --val 2 --test 3 --seeds 0 --steps 1"
    words += f" --batch 4 --set prompt.template=tiny --set backbone={small / 'backbone'}"
    main([*words.split(), "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "### talk" in shown
    assert (tmp_path / "table.md").read_text() in shown
    run = tmp_path / "talk" / "mtrans" / "rate-0.004-seed-0"
    assert (run / "predictions.jsonl").is_file()
    assert (tmp_path / "data" / "talk" / "test.jsonl").is_file()
    assert any((tmp_path / "cache").iterdir())
