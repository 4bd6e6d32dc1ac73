"""Adaptation end to end on real mp4 files and a random backbone."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mtrans.core.errors import CheckpointError, ManifestError, SettingsError, VideoError
from mtrans.core.files import read_jsonl
from mtrans.core.records import Sample
from mtrans.core.settings import settings_to_dict
from mtrans.data.manifest import read_manifest
from mtrans.models.loading import load_backbone
from mtrans.models.video_lmm import VideoLMM
from mtrans.train.adapt import adapt
from mtrans.train.circumstances import describe_data
from mtrans.train.diagnostics import Diagnostics, annealed
from mtrans.train.opening import open_run
from mtrans.train.run_folder import RunFolder, read_settings, write_settings

from .small import small_settings


@pytest.fixture
def samples(small: Path) -> list[Sample]:
    return read_manifest(small / "train.jsonl")


def settings_of(small: Path, **values: Any) -> Any:
    return small_settings(small / "backbone", small / "cache", **values)


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(run.adapter / "adapter_model.safetensors")


def losses(run: RunFolder) -> list[float]:
    return [r["loss"] for r in read_jsonl(run.log_file) if "loss" in r]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_run_learns_and_leaves_a_complete_folder(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    settings = settings_of(small, **{"train.max_steps": 40, "train.learning_rate": 1e-2})
    run = adapt(settings, samples, samples, tmp_path / "run", progress=False)
    curve = losses(run)
    assert sum(curve[-5:]) < 0.8 * sum(curve[:5])
    info = run.info()
    assert info["status"] == "finished"
    assert info["steps"] == 40
    assert info["data"]["train"]["samples"] == 16
    assert info["data"]["train"]["videos"] == 8
    assert {"python", "torch", "transformers", "peft", "mtrans"} <= info["versions"].keys()
    cost = info["cost"]
    assert 0 < cost["trained_parameters"] < cost["total_parameters"]
    assert cost["visual_tokens"] == 4
    assert cost["seconds_per_step"] > 0
    assert cost["peak_memory_mb"] > 50
    assert run.settings() == settings
    assert read_settings(run.adapter) == dataclasses.replace(settings, dtype="fp32")
    assert (run.adapter / "adapter_config.json").is_file()
    assert list(run.tensorboard.glob("events.*"))
    log = read_jsonl(run.log_file)
    wanted = {"step", "epoch", "loss", "learning_rate", "grad_norm", "gate", "routing_entropy"}
    assert wanted <= log[0].keys()
    assert len(log[0]["gate"]) == 4
    validations = [line for line in log if "val_accuracy" in line]
    assert [line["step"] for line in validations] == list(range(4, 41, 4))
    best = max(validations, key=lambda line: (line["val_accuracy"], -line["val_loss"]))
    assert info["best"]["step"] == best["step"]


def test_a_run_without_a_checkpoint_is_taken_over_unless_it_is_at_work(
    small: Path, samples: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"train": describe_data(samples)}
    settings = settings_of(small)
    other = dataclasses.replace(settings, train=dataclasses.replace(settings.train, seed=5))
    run, state = open_run(tmp_path / "run", other, data)
    assert state == "new"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        run.update(process={"host": platform.node(), "id": child.pid})
        with pytest.raises(CheckpointError, match=r"train.seed: 5 there, 0 here"):
            adapt(settings, samples, None, run.path, progress=False)
        child.communicate(b"\n")
    adapt(settings, samples, None, run.path, progress=False)
    assert "takes its place" in capsys.readouterr().err
    assert run.settings() == settings
    assert run.state() == "finished"


def test_a_start_that_was_killed_at_once_is_no_obstacle(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    data = {"train": describe_data(samples)}
    (tmp_path / "run").mkdir()
    write_settings(tmp_path / "run", settings_of(small))
    (tmp_path / "run" / ".run.json.17.part").write_text("{")
    run, state = open_run(tmp_path / "run", settings_of(small), data)
    assert state == "new"
    assert run.state() == "unfinished"
    run.run_file.write_text("[]")
    with pytest.raises(CheckpointError, match="is damaged: it holds no entries"):
        run.info()


def test_only_what_is_trained_is_saved_and_the_base_is_untouched(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    settings = settings_of(small)
    backbone = load_backbone(settings.backbone, settings.model)
    before = {k: v.clone() for k, v in backbone.base.named_parameters()}
    frozen = {k for k in before if not k.startswith("st_qformer.")}
    run = adapt(settings, samples, None, tmp_path / "run", backbone=backbone, progress=False)
    after = {k.replace(".base_layer.", "."): v for k, v in backbone.base.named_parameters()}
    assert all(torch.equal(before[k], after[k]) for k in frozen)
    saved = weights(run)
    assert all("lora_" in k or "st_qformer" in k for k in saved)
    trained = sum(p.numel() for p in backbone.model.parameters() if p.requires_grad)
    assert sum(v.numel() for v in saved.values()) == trained


def test_the_seed_decides_the_run(small: Path, samples: list[Sample], tmp_path: Path) -> None:
    settings = settings_of(small, **{"train.max_steps": 3})
    first = adapt(settings, samples, None, tmp_path / "a", progress=False)
    torch.manual_seed(99)  # what happened before must not matter
    loaded = load_backbone(settings.backbone, settings.model)
    again = adapt(settings, samples, None, tmp_path / "b", backbone=loaded, progress=False)
    assert same(weights(first), weights(again))
    other = settings_of(small, **{"train.max_steps": 3, "train.seed": 1})
    assert not same(weights(first), weights(adapt(other, samples, None, tmp_path / "c")))


def test_training_from_cache_equals_training_from_video(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    runs = []
    for use_cache in (True, False):
        settings = settings_of(small, **{"train.use_cache": use_cache})
        runs.append(adapt(settings, samples, samples, tmp_path / str(use_cache), progress=False))
    assert losses(runs[0]) == pytest.approx(losses(runs[1]), abs=1e-5)
    assert len(set(losses(runs[0]))) > 1


def test_workers_change_nothing(small: Path, samples: list[Sample], tmp_path: Path) -> None:
    runs = []
    for workers in (0, 1):
        values = {"train.workers": workers, "train.max_steps": 3, "prompt.max_text_tokens": 4}
        settings = settings_of(small, **values)
        runs.append(adapt(settings, samples, None, tmp_path / str(workers), progress=False))
    assert same(weights(runs[0]), weights(runs[1]))
    cut = [run.info()["cut_texts"] for run in runs]
    assert cut[0] == cut[1], "what workers cut is not known to the process that writes it down"
    assert cut[0]["question"] > 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no process tells when it began")
def test_a_run_that_another_process_is_at_is_left_alone(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    settings, data = settings_of(small), {"train": describe_data(samples)}
    code = (
        "import json, sys; from mtrans.train.run_folder import this_process;"
        "print(json.dumps(this_process()), flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        run, _ = open_run(tmp_path / "run", settings, data)
        process = json.loads(child.stdout.readline())
        run.update(process=process)
        run.log_file.write_text("kept\n")
        for resume in (True, False):
            with pytest.raises(CheckpointError, match=f"process {child.pid} is training in"):
                adapt(settings, samples, None, run.path, resume=resume, progress=False)
        assert run.log_file.read_text() == "kept\n"
        # a later process may have the number of one that was killed
        run.update(process={**process, "began": process["began"] - 1})
        assert run.worker() is None
        run.update(process=process)
        assert run.worker() == child.pid
        child.communicate("\n")
    assert open_run(run.path, settings, data)[1] == "new"  # it has ended: the run is taken over


def test_a_finished_run_is_left_alone(
    small: Path, samples: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(small, **{"train.max_steps": 2})
    run = adapt(settings, samples, None, tmp_path / "run", progress=False)
    finished = run.info()["finished"]
    capsys.readouterr()
    adapt(settings, samples, None, tmp_path / "run")
    assert "is finished; nothing to do" in capsys.readouterr().err
    assert run.info()["finished"] == finished
    elsewhere = dataclasses.replace(settings, cache_dir=str(tmp_path / "cache"))
    adapt(elsewhere, samples, None, tmp_path / "run")


def test_other_settings_or_data_are_refused(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    settings = settings_of(small, **{"train.max_steps": 2})
    adapt(settings, samples, None, tmp_path / "run", progress=False)
    other = settings_of(small, **{"train.max_steps": 2, "train.learning_rate": 0.5})
    with pytest.raises(CheckpointError, match=r"train\.learning_rate: 0\.01 there, 0\.5 here"):
        adapt(other, samples, None, tmp_path / "run")
    with pytest.raises(CheckpointError, match="other train data"):
        adapt(settings, samples[:-1], None, tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(CheckpointError, match="holds other files and no run"):
        adapt(settings, samples, None, tmp_path / "full")


def test_inputs_that_can_not_train_are_named(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match="no training sample"):
        adapt(settings_of(small), [], None, tmp_path)
    unanswered = dataclasses.replace(samples[1], answer=None)
    with pytest.raises(ManifestError, match="'0-open' has no answer"):
        adapt(settings_of(small), [unanswered], None, tmp_path)
    with pytest.raises(SettingsError, match="no validation data"):
        adapt(settings_of(small, **{"train.patience": 2}), samples, None, tmp_path)
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize(("use_cache", "workers"), [(True, 0), (False, 0), (False, 1)])
def test_a_bad_clip_stops_the_run_with_one_line(
    small: Path, samples: list[Sample], tmp_path: Path, use_cache: bool, workers: int
) -> None:
    (tmp_path / "bad.mp4").write_text("this is no video")
    bad = dataclasses.replace(samples[0], id="bad", video=str(tmp_path / "bad.mp4"))
    settings = settings_of(small, **{"train.use_cache": use_cache, "train.workers": workers})
    with pytest.raises(VideoError, match=r"bad\.mp4") as caught:
        adapt(settings, [*samples[:3], bad], None, tmp_path / "run", progress=False)
    assert "\n" not in str(caught.value)
    assert RunFolder(tmp_path / "run").info()["process"] is None, "nobody is at it any more"


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_bad_clip_is_left_out_and_listed_when_asked(
    small: Path, samples: list[Sample], tmp_path: Path, use_cache: bool
) -> None:
    (tmp_path / "bad.mp4").write_text("this is no video")
    bad = dataclasses.replace(samples[0], id="bad", video=str(tmp_path / "bad.mp4"))
    values = {"train.use_cache": use_cache, "train.skip_bad": True, "train.max_steps": 3}
    run = adapt(
        settings_of(small, **values), [bad, *samples], None, tmp_path / "run", progress=False
    )
    (entry,) = run.info()["skipped"]
    assert entry["samples"] == ["bad"]
    assert entry["video"].endswith("bad.mp4")
    assert entry["reason"]
    assert run.info()["data"]["train"]["samples"] == 17
    # the run is that of the good samples alone
    alone = adapt(settings_of(small, **values), samples, None, tmp_path / "alone", progress=False)
    assert same(weights(run), weights(alone))
    with pytest.raises(VideoError, match="no clip of the training data can be read"):
        adapt(settings_of(small, **values), [bad], None, tmp_path / "none", progress=False)


CONTENDERS: dict[str, dict[str, Any]] = {
    "text": {"model.vision": False},
    "single": {"frames.count": 1},
    "mean": {"model.mqt": False, "model.routing": "off"},
    "concat": {"model.mqt": False, "model.routing": "off", "model.pool": "concat"},
    "paper": {
        "model.temporal_gate": "none",
        "model.temporal_position": "absolute",
        "model.routing": "both",
        "model.routing_form": "hadamard",
    },
    "attention": {"model.pool": "attention", "model.temporal_tokens": "all"},
    "bf16": {"train.precision": "bf16"},
    "bf16 weights": {"train.precision": "bf16", "dtype": "bf16"},
    "recompute": {"train.gradient_checkpointing": True},
    "accumulate": {"train.micro_batch_size": 2},
}


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_trains(
    small: Path, samples: list[Sample], tmp_path: Path, name: str
) -> None:
    settings = settings_of(small, **{"train.max_steps": 3, **CONTENDERS[name]})
    run = adapt(settings, samples, samples[:4], tmp_path / "run", progress=False)
    assert len(losses(run)) == 3
    frames = settings.frames.count
    assert run.info()["cost"]["visual_tokens"] == (4 * frames if name == "concat" else 4)
    trained = [v for k, v in weights(run).items() if "lora_B" in k]
    assert any(v.abs().max() > 0 for v in trained)  # pairs start at zero


def test_recomputing_and_accumulating_give_the_same_losses(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    curves = []
    for name in ("recompute", "accumulate", ""):
        settings = settings_of(small, **CONTENDERS.get(name, {}), **{"train.max_steps": 4})
        curves.append(losses(adapt(settings, samples, None, tmp_path / name / "r", progress=False)))
    assert curves[0] == pytest.approx(curves[2], abs=1e-5)
    assert curves[1] == pytest.approx(curves[2], abs=1e-5)


def test_a_run_killed_after_its_last_step_is_closed_without_training(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    settings = settings_of(small, **{"train.max_steps": 3})
    run = adapt(settings, samples, samples, tmp_path / "run", progress=False)
    before, log = weights(run), run.log_file.read_bytes()
    shutil.rmtree(run.adapter)
    run.update(status="running")
    adapt(settings, samples, samples, tmp_path / "run", progress=False)
    assert run.state() == "finished"
    assert same(weights(run), before)
    assert run.log_file.read_bytes() == log


@pytest.mark.parametrize("status", ["finished", "running"])
def test_a_run_starts_again_when_it_shall_not_resume(
    status: str,
    small: Path,
    samples: list[Sample],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = settings_of(small, **{"train.max_steps": 3})
    run = adapt(settings, samples, None, tmp_path / "run", progress=False)
    run.update(status=status, mark="first")
    run.predictions().write_text("{}\n")
    before = weights(run)
    capsys.readouterr()
    for n, seed in ((1, 0), (2, 1)):
        other = dataclasses.replace(settings, train=dataclasses.replace(settings.train, seed=seed))
        again = adapt(other, samples, None, run.path, resume=False, progress=False)
        assert again.path == run.path
        assert again.state() == "finished"
        assert "resumed" not in again.info()
        assert "mark" not in again.info()
        assert not again.predictions().exists()
        assert same(weights(again), before) == (seed == 0)  # as a first run would have been
        said = [line for line in capsys.readouterr().err.splitlines() if "old-" in line]
        assert said == [f"the run in '{run.path}' is '{run.path}.old-{n}' now; a new one starts"]
    old = RunFolder(tmp_path / "run.old-1")
    assert old.info()["mark"] == "first"
    assert old.info()["status"] == status
    assert old.predictions().exists()
    assert same(weights(old), before)


def test_only_runs_are_moved_away(
    small: Path, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(small, **{"train.max_steps": 1})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(CheckpointError, match="other files and no run"):
        adapt(settings, samples, None, tmp_path / "mine", resume=False, progress=False)
    assert (tmp_path / "mine" / "thesis.txt").exists()
    run = adapt(settings, samples, None, tmp_path / "run", resume=False, progress=False)
    assert [p.name for p in tmp_path.iterdir() if "old" in p.name] == []
    monkeypatch.chdir(run.path)
    with pytest.raises(CheckpointError, match="change to its parent"):
        adapt(settings, samples, None, ".", resume=False, progress=False)
    assert run.state() == "finished"


def test_temperature_falls_over_a_run(small: Path, samples: list[Sample], tmp_path: Path) -> None:
    settings = settings_of(small, **{"model.routing_choice": "hard", "train.max_steps": 5})
    run = adapt(settings, samples, None, tmp_path / "run", progress=False)
    temperatures = [line["temperature"] for line in read_jsonl(run.log_file)]
    assert temperatures == pytest.approx([1.0, 0.1**0.25, 0.1**0.5, 0.1**0.75, 0.1], abs=1e-4)
    assert annealed(1.0, 0.1, 2.0) == pytest.approx(0.1)


def test_diagnostics_watch_the_copies_that_are_trained(small: Path) -> None:
    settings = settings_of(small)
    backbone = load_backbone(settings.backbone, settings.model, settings.lora)
    diagnostics = Diagnostics(backbone.model)
    assert len(diagnostics.gates) == 4
    assert all(gate.value.requires_grad for gate in diagnostics.gates)
    diagnostics.close()


CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "accelerate"

COMMAND = """
import json, os, sys, time
from pathlib import Path
from mtrans.core.settings import settings_from_dict
from mtrans.data.manifest import read_manifest
from mtrans.train.adapt import adapt

settings = settings_from_dict(json.loads(sys.argv[1]))
samples = read_manifest(sys.argv[2])
adapt(settings, samples, samples, sys.argv[3], progress=False)
"""


def start(
    settings: Any, small: Path, out: Path, launcher: Sequence[str] = ()
) -> subprocess.Popen[str]:
    script = out.with_suffix(".py")
    script.write_text(COMMAND)
    text = json.dumps(settings_to_dict(settings))
    return subprocess.Popen(
        [sys.executable, *launcher, str(script), text, str(small / "train.jsonl"), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_run_goes_on_to_the_weights_of_an_uninterrupted_one(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    values = {
        "train.max_steps": 60,
        "train.save_every": 7,
        "train.evaluate_every": 10,
        "lora.dropout": 0.1,  # random numbers in every step
        "model.routing_choice": "hard",
    }
    settings = settings_of(small, **values)
    out = tmp_path / "killed"
    child = start(settings, small, out)
    run = RunFolder(out)
    deadline = time.monotonic() + 600
    while not run.checkpoint_steps() or run.checkpoint_steps()[-1] < 14:
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert run.state() == "unfinished"
    steps = run.checkpoint_steps()
    assert 14 <= steps[-1] < 60

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the child: sums in another order differ in the last bit
    try:
        adapt(settings, samples, samples, out, progress=False)
        whole = adapt(settings, samples, samples, tmp_path / "whole", progress=False)
    finally:
        torch.set_num_threads(threads)
    assert run.info()["resumed"]
    assert same(weights(run), weights(whole))
    logs = [read_jsonl(r.log_file) for r in (run, whole)]
    for line in (*logs[0], *logs[1]):
        line.pop("seconds")
    assert logs[0] == logs[1]


@pytest.mark.slow  # each case a minute; test_trainer.py has two processes in the quick suite
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_give_the_run_of_one(
    kind: str, small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    settings = settings_of(
        small,
        **{
            "train.max_steps": 5,
            "train.learning_rate": 1e-3,
            "train.gradient_checkpointing": kind == "fsdp",
            "cache_dir": str(tmp_path / "cache"),  # empty: both processes fill it
        },
    )
    config = str(CONFIGS / f"{kind}.yaml")
    launcher = ["-m", "accelerate.commands.launch", "--config_file", config]
    child = start(settings, small, tmp_path / "two", [*launcher, "--main_process_port", port])
    one = adapt(settings, samples, samples, tmp_path / "one", progress=False)
    errors = child.communicate(timeout=600)[1]
    assert child.returncode == 0, errors
    two = RunFolder(tmp_path / "two")
    assert two.info()["processes"] == 2
    # a sharded model's operations can't be counted by one process
    assert (two.info()["cost"]["training_flops"] is None) == (kind == "fsdp")
    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    ours, theirs = weights(one), weights(two)
    # before layer 0 all frames have the same queries, so how they are weighted there has no effect
    # and no gradient but rounding errors, which Adam scales up to whole steps
    idle = re.compile(r"layers\.0\.temporal(\.(query|key)|_position|_router)")
    assert sum(bool(idle.search(name)) for name in ours) < 0.2 * len(ours)
    for name, value in ours.items():
        if idle.search(name):
            continue
        torch.testing.assert_close(theirs[name], value, atol=1e-5, rtol=1e-5)
    for a, b in zip(read_jsonl(one.log_file), read_jsonl(two.log_file), strict=True):
        if "val_loss" in a:
            assert b["val_loss"] == pytest.approx(a["val_loss"], abs=1e-5)
            assert b["val_accuracy"] == a["val_accuracy"]


def test_label_smoothing_and_focal_weights_reach_the_training_loss(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    first = {}
    for name, value in (("none", 0.0), ("label_smoothing", 0.3), ("focal_gamma", 2.0)):
        changed = {} if name == "none" else {f"train.{name}": value}
        settings = settings_of(small, **{"train.max_steps": 2, **changed})
        first[name] = losses(adapt(settings, samples, None, tmp_path / name, progress=False))[0]
    assert first["label_smoothing"] != pytest.approx(first["none"], rel=1e-3)
    assert first["focal_gamma"] < 0.999 * first["none"]


def test_an_llm_in_the_machines_memory_gives_the_same_losses(
    small: Path, samples: list[Sample], tmp_path: Path
) -> None:
    values = {"train.max_steps": 3, "train.gradient_checkpointing": True}
    usual = adapt(settings_of(small, **values), samples, None, tmp_path / "a", progress=False)
    settings = settings_of(small, offload="llm", **values)
    away = adapt(settings, samples, None, tmp_path / "b", progress=False)
    assert losses(away) == pytest.approx(losses(usual), abs=1e-6)
    read = load_backbone(settings.backbone, adapter=away.adapter, offload=settings.offload)
    assert all(p.is_meta for p in read.base.language_model.parameters())
    without = settings_of(small, offload="llm")
    with pytest.raises(SettingsError, match=r"train\.gradient_checkpointing=true"):
        adapt(without, samples, None, tmp_path / "c", progress=False)


def test_the_order_asked_for_is_trained_in_and_a_clip_in_a_batch_is_encoded_once(
    small: Path, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[int] = []
    encode = VideoLMM.encode_frames

    def counted(self: VideoLMM, pixels: torch.Tensor, **options: Any) -> torch.Tensor:
        frames.append(pixels.shape[0] * pixels.shape[1])
        return encode(self, pixels, **options)

    monkeypatch.setattr(VideoLMM, "encode_frames", counted)
    found = {}
    for order in ("random", "length", "clip"):
        frames.clear()
        settings = settings_of(
            small, **{"train.order": order, "train.use_cache": False, "train.max_steps": 4}
        )
        found[order] = losses(adapt(settings, samples, None, tmp_path / order, progress=False))
        if order == "clip":  # four questions a step about two clips of three frames
            assert frames[:4] == [6, 6, 6, 6]
    assert found["length"] != found["random"] != found["clip"] != found["length"]
