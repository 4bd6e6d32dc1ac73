"""Run folders as `mtrans adapt` and `mtrans eval` leave them, small but with real video files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from mtrans.core.records import Prediction
from mtrans.core.settings import load_settings, settings_to_dict
from mtrans.measure.predictions import write_predictions
from mtrans.video.write import write_video

DIRECTIONS = ("left", "right", "up", "down")
COUNTS = ("0", "1", "2", "3")
STEPS = 400


def make_run(
    path: Path,
    *,
    skill: Mapping[str, float],
    baseline: str | None = None,
    n: int = 120,
    videos: Path | None = None,
    world: str | None = "physics",
    seed: int = 0,
    visual_tokens: int = 8,
    trained: int = 51_234,
    seconds: float = 187.3,
) -> Path:
    """Writes a whole run folder.

    Args:
        path: The folder.
        skill: Question type -> share of right answers.
        baseline: Baseline whose settings the run has.
        n: Questions; two about each clip.
        videos: Folder of the clips, made if given; None leaves them out.
        world: Generator named in the facts; None means real footage.
        seed: Seed of the answers (the questions don't depend on it).
        visual_tokens: For the cost.
        trained: Trained parameters, for the cost.
        seconds: Training time, for the cost.
    """
    path.mkdir(parents=True, exist_ok=True)
    settings = load_settings(baseline=baseline, values={"train.max_steps": STEPS})
    (path / "settings.yaml").write_text(yaml.safe_dump(settings_to_dict(settings)))
    (path / "run.json").write_text(json.dumps(_run_json(visual_tokens, trained, seconds)))
    (path / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in _log(seed)))
    questions = np.random.default_rng(99)
    answers = np.random.default_rng(seed)
    items = [_prediction(i, skill, questions, answers, videos, world) for i in range(n)]
    write_predictions(path / "predictions.jsonl", items)
    return path


def _prediction(
    i: int,
    skill: Mapping[str, float],
    questions: np.random.Generator,
    answers: np.random.Generator,
    videos: Path | None,
    world: str | None,
) -> Prediction:
    kind = list(skill)[i % len(skill)]
    choices = DIRECTIONS if "direction" in kind else COUNTS
    label = int(questions.integers(4))
    facts = {"objects": int(questions.integers(1, 4)), "speed": round(float(questions.random()), 2)}
    if world:
        facts["world"] = world
    right = answers.random() < skill[kind]
    choice = label if right else int((label + answers.integers(1, 4)) % 4)
    logits = answers.normal(0, 0.7, 4)
    logits[choice] = logits.max() + answers.exponential(1.2 if right else 0.6)
    share = np.exp(logits) / np.exp(logits).sum()
    video = None
    if videos is not None:
        video = videos / f"clip{i // 2:03d}.mp4"
        if not video.exists():
            videos.mkdir(parents=True, exist_ok=True)
            write_video(video, moving_disc(i // 2, label), fps=10)
    question = (
        "Which way does the red disc move?" if "direction" in kind else "How many discs move?"
    )
    return Prediction(
        id=f"test-{i:04d}",
        video=str(video) if video else f"/nowhere/clip{i // 2:03d}.mp4",
        question=question,
        answer=choices[choice],
        target=choices[label],
        choices=choices,
        label=label,
        choice=choice,
        probabilities=tuple(float(p) for p in share),
        parse="scored",
        ms=float(answers.gamma(20, 0.4)),
        tokens={"visual": 8, "prompt": 12},
        type=kind,
        split="test",
        facts=facts,
    )


def moving_disc(seed: int, direction: int, size: int = 64, count: int = 16) -> list[np.ndarray]:
    """Frames of a red disc that moves left, right, up or down, past a grey bystander."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    dx, dy = ((-1, 0), (1, 0), (0, -1), (0, 1))[direction]
    other = rng.uniform(12, size - 12, 2)
    frames = []
    for t in range(count):
        along = (t / (count - 1) - 0.5) * size * 0.6
        frame = np.full((size, size, 3), (226, 228, 222), dtype=np.uint8)
        frame[(x - other[0]) ** 2 + (y - other[1]) ** 2 < 36] = (90, 110, 190)
        centre = size / 2 + dx * along, size / 2 + dy * along
        frame[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 64] = (205, 50, 45)
        frames.append(frame)
    return frames


def _run_json(visual_tokens: int, trained: int, seconds: float) -> dict[str, object]:
    return {
        "schema_version": 1,
        "status": "finished",
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:07:12+00:00",
        "command": ["/usr/local/bin/mtrans", "adapt", "--backbone", "tiny"],
        "versions": {"python": "3.11.7", "mtrans": "0.1.0", "torch": "2.11.0"},
        "git": {"commit": "0123456789abcdef", "changed": False},
        "seed": 0,
        "device": "x86_64 cpu, 2 threads",
        "data": {
            "train": {"samples": 600, "videos": 300, "hash": "aa11"},
            "val": {"samples": 100, "videos": 50, "hash": "bb22"},
        },
        "skipped": [],
        "cost": {
            "trained_parameters": trained,
            "total_parameters": 2_345_678,
            "train_seconds": seconds,
            "steps": STEPS,
            "seconds_per_step": seconds / STEPS,
            "peak_memory_mb": 812.5,
            "memory_kind": "rss",
            "visual_tokens": visual_tokens,
        },
    }


def _log(seed: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    records: list[dict[str, object]] = []
    for step in range(10, STEPS + 1, 10):
        loss = 0.7 + 0.9 * math.exp(-step / 120) + 0.05 * rng.normal()
        rate = 4e-3 * min(1, step / 20) * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        gates = [round(1 - 0.3 * layer * step / STEPS, 4) for layer in range(1, 4)]
        records.append(
            {"step": step, "epoch": step / 19, "loss": loss, "learning_rate": rate, "gate": gates}
        )
        if step % 50 == 0:
            accuracy = 0.25 + 0.3 * (1 - math.exp(-step / 150)) + 0.01 * rng.normal()
            records.append({"step": step, "val_loss": loss + 0.08, "val_accuracy": accuracy})
    return records
