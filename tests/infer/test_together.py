"""Several processes that answer together: each clip in one of them, one file in the end."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mtrans.core.files import read_jsonl
from mtrans.core.records import Sample
from mtrans.data.manifest import write_manifest
from mtrans.infer.evaluate import evaluate, meta_path
from mtrans.infer.predictor import load_predictor
from mtrans.train.run_folder import RunFolder
from mtrans.train.together import Team

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "accelerate" / "ddp.yaml"

COMMAND = """
import dataclasses, json, sys
from pathlib import Path
from mtrans.core.errors import VideoError
from mtrans.data.manifest import read_manifest
from mtrans.infer.evaluate import evaluate
from mtrans.infer.predictor import load_predictor
from mtrans.models.video_lmm import VideoLMM

run, manifest, bad, out = map(Path, sys.argv[1:])
predictor = load_predictor(run, device="cpu")
predictor.settings = dataclasses.replace(predictor.settings, cache_dir=str(out / "cache"))
encoded, encode = [], VideoLMM.encode_frames

def counted(self, pixels, **options):
    encoded.append(pixels.shape[0] * pixels.shape[1])
    return encode(self, pixels, **options)

VideoLMM.encode_frames = counted
done = evaluate(predictor, read_manifest(manifest), out / "p.jsonl", progress=False, batch_size=2)
rank = __import__("os").environ["RANK"]
try:
    evaluate(predictor, read_manifest(bad), out / "none.jsonl", progress=False, errors="raise")
    error = None
except VideoError as found:
    error = str(found)
report = dataclasses.asdict(done) | {"frames": sum(encoded), "error": error}
(out / f"{rank}.json").write_text(json.dumps(report, default=str))
"""


@pytest.mark.slow
def test_two_processes_answer_each_clip_once_into_one_file(
    run: RunFolder, samples: list[Sample], tmp_path: Path
) -> None:
    alone = evaluate(
        load_predictor(run.path, device="cpu"), samples, tmp_path / "a.jsonl", progress=False
    )
    write_manifest(tmp_path / "all.jsonl", samples)
    # one process has a clip that can't be read, the other has none: both stop
    gone = dataclasses.replace(samples[0], video=str(tmp_path / "gone.mp4"))
    write_manifest(tmp_path / "bad.jsonl", [gone, samples[2]])
    # what a run of three processes left when it was killed, its last line half written
    half = "".join(json.dumps(r) + "\n" for r in read_jsonl(alone.predictions)[:2])
    (tmp_path / "p.jsonl.part-2").write_text(half + '{"id": "1-w')
    meta_path(tmp_path / "p.jsonl").write_bytes(meta_path(alone.predictions).read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    script = tmp_path / "answer.py"
    script.write_text(COMMAND)
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(CONFIG)]
    files = [str(run.path), str(tmp_path / "all.jsonl"), str(tmp_path / "bad.jsonl"), str(tmp_path)]
    found = subprocess.run(
        [sys.executable, *launch, "--main_process_port", port, str(script), *files],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    reports = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    clips = len(samples) // 2 - 1  # two questions a clip; the first clip's are answered
    assert sum(r["frames"] for r in reports) == 3 * clips
    assert all(r["frames"] for r in reports)
    for report in reports:
        assert (report["answered"], report["reused"]) == (len(samples) - 2, 2)
        assert "gone.mp4" in report["error"]
    ours, theirs = read_jsonl(tmp_path / "p.jsonl"), read_jsonl(alone.predictions)
    assert not list(tmp_path.glob("p.jsonl.part-*"))
    assert [r["id"] for r in ours] == [s.id for s in samples]
    for one, other in zip(ours, theirs, strict=True):
        for name in ("log_likelihoods", "probabilities"):
            assert one.pop(name, None) == pytest.approx(other.pop(name, None), abs=1e-4)
        for line in (one, other):
            line.pop("ms", None)
        assert one == other
    first, second = (
        json.loads(meta_path(tmp_path / n).read_text()) for n in ("p.jsonl", "a.jsonl")
    )
    assert first["finished"]
    assert first["data"] == second["data"]


def test_shares_are_everything_once_and_no_clip_is_in_two(samples: list[Sample]) -> None:
    texts = [dataclasses.replace(samples[0], id=f"text-{i}", video=None) for i in range(3)]
    given = [*samples, *texts]
    shares = [Team(rank, 3).by_clip(given) for rank in range(3)]
    assert sorted(s.id for share in shares for s in share) == sorted(s.id for s in given)
    clips = [{s.video for s in share if s.video} for share in shares]
    assert not clips[0] & clips[1] | clips[0] & clips[2] | clips[1] & clips[2]
    assert Team().by_clip(given) == given
