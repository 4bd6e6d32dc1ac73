"""`bench train`: both sides really train, and ratios come from what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtrans.app.commands_bench_peer import train
from mtrans.bench import train_cases
from mtrans.bench.clips import bench_clips
from mtrans.bench.peer import build_peer
from mtrans.bench.sizes import config_of
from mtrans.bench.train import (
    COLD,
    ONLINE,
    OURS_MEMORY,
    PEER_MEMORY,
    SAME,
    WARM,
    WORKERS,
    Comparison,
    bench_train,
)
from mtrans.bench.train_cases import (
    Measured,
    TrainSetup,
    batches_needed,
    ours,
    ours_in_memory,
    peer,
    peer_in_memory,
)
from mtrans.bench.train_flops import _counted, beyond, ours_training, peer_flops
from mtrans.core.errors import SettingsError, VideoError
from mtrans.core.settings import load_settings
from mtrans.models.loading import TINY_FOLDER


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    samples = bench_clips(out / "clips", 2 * batches_needed(1), seconds=0.2)
    return TrainSetup(str(TINY_FOLDER), tuple(samples), 2, 2, 1, str(out), device="cpu")


def test_ours_fills_the_cache_once_and_counts_the_steps_asked_for(setup):
    cold, warm = ours(setup, cold=True), ours(setup, cold=False)
    assert len(cold.seconds) == len(warm.seconds) == setup.steps
    assert cold.prepare_seconds > 0 == warm.prepare_seconds
    assert cold.visual_tokens == 8


@pytest.mark.parametrize("workers", [0, 2])
def test_the_peer_trains_on_every_frames_tokens(setup, workers):
    made = peer(setup, workers=workers)
    assert len(made.seconds) == setup.steps
    assert made.visual_tokens == 16
    assert 0 < made.import_mb <= made.peak_mb


def test_the_peer_still_reads_when_its_last_step_ends(setup, monkeypatch):
    """As many batches are read while steps are counted as steps are, as within an epoch."""
    decoded, ends = [], []
    plain, note = train_cases.PeerClips.__getitem__, train_cases._Ends.on_step_end

    def read(self, index):
        decoded.append(index)
        return plain(self, index)

    def end(self, *args, **kwargs):
        ends.append(len(decoded))
        note(self, *args, **kwargs)

    monkeypatch.setattr(train_cases.PeerClips, "__getitem__", read)
    monkeypatch.setattr(train_cases._Ends, "on_step_end", end)
    peer(setup)
    first, last = ends
    assert last - first == setup.steps * setup.batch


def test_peer_and_ours_train_the_same_pairs_in_memory(setup):
    theirs, same = peer_in_memory(setup), ours_in_memory(setup, same=True)
    assert theirs.trained == same.trained > 0
    assert theirs.visual_tokens == same.visual_tokens == 16


def test_operations_of_many_frames_follow_from_three():
    torch.manual_seed(0)
    model = build_peer(config_of("tiny")).requires_grad_(False).eval()
    counted = [_counted(model, config_of("tiny"), n, "cpu", False) for n in (1, 2, 3, 5)]
    assert beyond(counted, 5) == counted[3]
    assert beyond(counted, 1) == counted[0]


def test_the_peer_has_more_to_do_by_a_vit_and_the_frames_tokens():
    settings = load_settings()
    few, many = (
        peer_flops("tiny", n, settings.lora)
        / ours_training("tiny", n, settings.model, settings.lora)
        for n in (2, 16)
    )
    assert 1.5 < few < many < 10


def _measured(step: float, *, prepare: float = 0.0, peak: float = 600.0) -> Measured:
    return Measured((step, 3 * step, 2 * step, 2 * step), prepare, peak, 500.0, "rss", 1, 8)


def test_ratios_are_of_what_was_measured():
    made = Comparison("tiny", 8, batch=4, together=2, attention="eager", flops=(1.0, 3.0))
    made.cases = {
        COLD: [_measured(1.0, prepare=1.0)],
        WARM: [_measured(1.0)],
        SAME: [_measured(2.0)],
        ONLINE: [_measured(8.0, peak=900.0)],
        WORKERS: [_measured(6.0, peak=800.0)],
        OURS_MEMORY: [_measured(1.0)],
        PEER_MEMORY: [_measured(2.4)],
    }
    assert made.clip_seconds(WARM) == [0.5, 0.5]  # two steps make one figure
    assert made.rate(WARM) == pytest.approx(2.0)
    assert made.rate(COLD) == pytest.approx(1 / (2.0 / 4 + 1.0))
    assert made.peer() == WORKERS
    assert made.ratio(WORKERS, WARM).median == pytest.approx(6.0)
    assert made.memory(WORKERS) == (800.0, 300.0)
    lines = made.lines()
    assert lines[0].endswith("warm cache: 1.33; above importing 3.00")
    assert "operations allow 3.00, so 80 % of it" in lines[3]
    assert lines[-1].startswith("tiny, 8 frames: peer, 2 workers / ours, warm cache: 6.00")


def test_copies_of_other_videos_or_cut_ones_are_made_anew(tmp_path):
    one, other = (bench_clips(tmp_path / name, 1, seconds=s)[0] for name, s in (("a", 1), ("b", 2)))
    (first,) = bench_clips(tmp_path / "clips", 1, videos=[Path(one.video)])
    before = Path(first.video).read_bytes()
    assert before.startswith(Path(one.video).read_bytes())
    (again,) = bench_clips(tmp_path / "clips", 1, videos=[Path(other.video)])
    assert again.video == first.video
    assert Path(again.video).read_bytes().startswith(Path(other.video).read_bytes())
    Path(again.video).write_bytes(before[:100])
    bench_clips(tmp_path / "clips", 1, videos=[Path(one.video)])
    assert Path(again.video).read_bytes() == before


def test_what_can_not_be_timed_is_said_first(tmp_path):
    with pytest.raises(SettingsError, match="unknown size 'small'"):
        bench_train(tmp_path / "out", sizes=("tiny", "small"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(VideoError, match="no MP4 files"):
        train(out=tmp_path / "out", videos=tmp_path)
    assert not (tmp_path / "out").exists()
