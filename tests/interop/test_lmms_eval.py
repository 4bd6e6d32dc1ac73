"""The plugin inside the real lmms-eval; install it to run these, see examples/lmms_eval."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("lmms_eval", reason="lmms-eval is not installed (examples/lmms_eval says how)")

EXAMPLE = Path(__file__).parents[2] / "examples" / "lmms_eval"


def run(folder: Path, *words: str) -> None:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


def test_the_entry_point_names_the_model():
    from lmms_eval.models import get_model

    from mtrans.interop.lmms_eval import LmmsModel

    assert get_model("mtrans") is LmmsModel


def test_requests_of_the_real_class(tmp_path):
    from lmms_eval.api.instance import Instance

    from mtrans.core.records import Sample
    from mtrans.interop.lmms_eval import LmmsModel
    from mtrans.video.worlds.make import make_world

    make_world("physics", tmp_path, {"test": 1}, 0, size=64, workers=1)
    clip = next(tmp_path.rglob("*.mp4"))
    model = LmmsModel("tiny", device="cpu", batch_size="1")
    model.task_dict = {"t": {"test": [{"video": str(clip)}]}}
    rest = (lambda doc: [doc["video"]], 0, "t", "test")
    meta = {"task": "t", "doc_id": 0, "repeats": 1}
    text = "how many objects move?"
    asked = [
        Instance("loglikelihood", (text, f" {word}", *rest), n, metadata=meta)
        for n, word in enumerate(("one", "two", "three"))
    ]
    found = [r.text for r in model.loglikelihood(asked)]
    sample = Sample("a", str(clip), text, choices=("one", "two", "three"))
    (ours,) = model.predictor.predict([sample])
    assert [-loss for loss, _ in found] == pytest.approx(ours.log_likelihoods, abs=1e-5)
    assert [greedy for _, greedy in found].index(True) == ours.choice
    settings = {"until": ["\n"], "max_new_tokens": 4}
    (said,) = model.generate_until(
        [Instance("generate_until", (text, settings, *rest), 0, metadata=meta)]
    )
    assert said.token_counts.output_tokens <= 4
    assert model.predictor.max_new_tokens == 32


@pytest.mark.slow
def test_its_score_is_ours(tmp_path):
    from mtrans.data.manifest import read_manifest
    from mtrans.interop.sample_logs import import_predictions
    from mtrans.measure.predictions import read_predictions

    for file in EXAMPLE.iterdir():
        shutil.copy(file, tmp_path)
    words = ("--test", "3", "--seed", "7", "--workers", "1")
    run(tmp_path, "mtrans", "worlds", "make", "physics", "--out", "data", *words)
    run(tmp_path, "mtrans", "eval", "tiny", "--data", "data/test.jsonl", "--out", "ours.jsonl")
    task = ("--include_path", ".", "--tasks", "mtrans_physics", "--batch_size", "32")
    model = ("--model", "mtrans", "--model_args", "pretrained=tiny")
    run(tmp_path, "lmms_eval", *model, *task, "--output_path", "logs", "--log_samples")
    (log,) = tmp_path.glob("logs/*/*_samples_*.jsonl")
    (results,) = tmp_path.glob("logs/*/*_results.json")
    score = json.loads(results.read_text())["results"]["mtrans_physics"]["acc,none"]
    ours = read_predictions(tmp_path / "ours.jsonl")
    assert score == pytest.approx(sum(p.choice == p.label for p in ours) / len(ours))
    samples = read_manifest(tmp_path / "data" / "test.jsonl")
    theirs = import_predictions(log, "lmms-eval", tmp_path / "theirs", samples)
    assert [p.choice for p in theirs] == [p.choice for p in ours]
