"""Training against the plain path that people use: clips a second, and memory.

For each size and number of frames, each in a process of its own, in turns:

    ours, cold cache     the first epoch of `adapt`: decode, encode, store, train
    ours, warm cache     every epoch after, and every later run on the same clips
    ours, peer's function   the same, with the peer's function: no time, every frame's tokens
    peer, online         transformers' Trainer; decodes and encodes in every epoch
    peer, 2 workers      the same, with two background processes that decode
    ours | peer, in memory  the step alone: features, or pixels, are in memory

Frames, batch, low-rank targets and rank are the same, and so is arithmetic: bf16 autocast where the
device is fast at it (`TrainingArguments.bf16`). The peer has whichever attention (fused, or plain
products) its step is faster with on this device.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mtrans.bench import train_cases
from mtrans.bench.apart import run_apart
from mtrans.bench.clips import bench_clips
from mtrans.bench.side_by_side import Ratio, ratio, write_result
from mtrans.bench.sizes import checkpoint, config_of
from mtrans.bench.train_cases import Measured, TrainSetup, batches_needed
from mtrans.bench.train_flops import ours_training, peer_flops
from mtrans.core.runtime import pick_device, pick_dtype

PLANS = {"tiny": (16, 4), "mid": (4, 2), "7b": (4, 2)}
"""Size -> clips of a step, steps of a round that count. Few, and more rounds: a machine's speed
changes within minutes, and cases that take turns have it alike."""

TOGETHER = {"tiny": 4, "mid": 2, "7b": 2}
"""Steps whose mean is one figure: two workers bring two batches at a time, so that a step that
waits for both comes after one that finds its batch."""

COLD, WARM, SAME = "ours, cold cache", "ours, warm cache", "ours, peer's function"
ONLINE, WORKERS = "peer, online", "peer, 2 workers"
OURS_MEMORY, PEER_MEMORY = "ours, in memory", "peer, in memory"


@dataclass
class Comparison:
    """One size at one number of frames.

    Attributes:
        size: The model.
        frames: Frames of a clip.
        batch: Clips of a step.
        together: Steps whose mean is one figure.
        attention: What the peer ran with.
        cases: Case -> what each round gave.
        flops: Operations of a clip in a step: ours, the peer's.
    """

    size: str
    frames: int
    batch: int
    together: int = 1
    attention: str = ""
    cases: dict[str, list[Measured]] = field(default_factory=dict)
    flops: tuple[float, float] = (0.0, 0.0)

    def clip_seconds(self, case: str) -> list[float]:
        """Returns the seconds of a clip, those of preparing it included: of so many steps each."""
        found = []
        for made in self.cases[case]:
            for first in range(0, len(made.seconds), self.together):
                steps = made.seconds[first : first + self.together]
                found.append(statistics.fmean(steps) / self.batch + made.prepare_seconds)
        return found

    def rate(self, case: str) -> float:
        """Returns clips a second."""
        return 1 / statistics.median(self.clip_seconds(case))

    def memory(self, case: str) -> tuple[float, float | None]:
        """Returns MiB at the peak, and those of it above what importing took, where known."""
        made = max(self.cases[case], key=lambda m: m.peak_mb)
        return made.peak_mb, None if made.import_mb is None else made.peak_mb - made.import_mb

    def peer(self) -> str:
        """Returns the faster of the peer's two ways."""
        return max((c for c in (ONLINE, WORKERS) if c in self.cases), key=self.rate)

    def ratio(self, slow: str, fast: str) -> Ratio:
        """Returns how many times as long a clip takes in one case as in another."""
        return ratio({c: self.clip_seconds(c) for c in (slow, fast)}, slow, fast)

    @property
    def allowed(self) -> float:
        """How many times as many operations the peer's step has as ours."""
        return self.flops[1] / self.flops[0]

    def lines(self) -> list[str]:
        """Returns the findings, one a line."""
        (theirs, above), (ours, own) = self.memory(self.peer()), self.memory(WARM)
        over = "" if above is None or own is None else f"; above importing {above / own:.2f}"
        steps = self.ratio(PEER_MEMORY, OURS_MEMORY)
        head = f"{self.size}, {self.frames} frames: "
        return [
            f"{head}memory, {self.peer()} / {WARM}: {theirs / ours:.2f}{over}",
            f"{head}{_said(self.ratio(self.peer(), COLD))}",
            f"{head}{_said(self.ratio(self.peer(), SAME))}",
            f"{head}{_said(steps)}; operations allow {self.allowed:.2f}, so"
            f" {100 * steps.median / self.allowed:.0f} % of it",
            f"{head}{_said(self.ratio(self.peer(), WARM))}",
        ]


def bench_train(
    out: Path,
    *,
    sizes: Sequence[str] = ("tiny", "mid"),
    frames: Sequence[int] = (8, 32),
    rounds: int = 3,
    seconds: float = 10.0,
    videos: Sequence[Path] = (),
    device: str = "auto",
    quick: bool = False,
    said: Callable[[str], None] = lambda _: None,
) -> list[Comparison]:
    """Times `adapt` and the peer.

    Args:
        out: Folder for models, clips, caches and the result, ``train.json``.
        sizes: Of `bench.sizes.SIZES`.
        frames: Numbers of frames of a clip.
        rounds: How often each case is run.
        seconds: Length of the drawn clips.
        videos: MP4 files to train on in place of drawn clips.
        device: As `RunSettings.device`.
        quick: 4 clips a step and four steps.
        said: Called with a line of progress.

    Returns:
        A comparison for each size and number of frames.

    Raises:
        SettingsError: There is no such size.
        ManifestError: A video is not an MP4 file.
    """
    where = pick_device(device)
    for size in sizes:
        config_of(size)  # an unknown one is named before the others have taken their minutes
    found = []
    for size in sizes:
        batch, steps = (4, 4) if quick else PLANS[size]
        model = checkpoint(size, out / "models", device=str(where), dtype=pick_dtype("auto", where))
        clips = out / f"clips-{seconds:g}s" if not videos else out / "clips"
        most = batch * batches_needed(steps)
        samples = bench_clips(clips, most, seconds=seconds, videos=videos)
        for count in frames:
            setup = TrainSetup(
                checkpoint=str(model),
                samples=tuple(samples[: batch * batches_needed(steps)]),
                frames=count,
                batch=batch,
                steps=steps,
                out=str(out / f"{size}-{count}"),
                device=device,
            )
            found.append(
                _compare(Comparison(size, count, batch, TOGETHER[size]), setup, rounds, said)
            )
            write_result(out / "train.json", "train", {"comparisons": [asdict(c) for c in found]})
    return found


def _compare(
    made: Comparison, setup: TrainSetup, rounds: int, said: Callable[[str], None]
) -> Comparison:
    def run(case: str, function: Callable[..., Measured], **how: Any) -> Measured:
        measured = run_apart(function, setup, **how)
        each = statistics.fmean(measured.seconds)
        said(
            f"{made.size}, {made.frames} frames: {case}: {each:.2f} s a step,"
            f" {measured.peak_mb:.0f} MiB"
        )
        return measured

    first: dict[str, Measured] = {}
    for attention in ("sdpa", "eager"):
        case = f"{PEER_MEMORY}, {attention} attention"
        first[attention] = run(case, train_cases.peer_in_memory, attention=attention)
    made.attention = min(first, key=lambda a: statistics.median(first[a].seconds))
    turns: dict[str, tuple[Callable[..., Measured], dict[str, Any]]] = {
        COLD: (train_cases.ours, {"cold": True}),  # fills the cache for the next two
        WARM: (train_cases.ours, {"cold": False}),
        SAME: (train_cases.ours, {"cold": False, "same": True}),
        ONLINE: (train_cases.peer, {"attention": made.attention}),
        WORKERS: (train_cases.peer, {"attention": made.attention, "workers": 2}),
        OURS_MEMORY: (train_cases.ours_in_memory, {}),
        PEER_MEMORY: (train_cases.peer_in_memory, {"attention": made.attention}),
    }
    for turn in range(rounds):
        for case, (function, how) in turns.items():
            if turn == 0 and case == PEER_MEMORY:
                made.cases[case] = [first[made.attention]]
                continue
            made.cases.setdefault(case, []).append(run(case, function, **how))
    settings = setup.settings()
    made.flops = (
        ours_training(made.size, made.frames, settings.model, settings.lora),
        run_apart(
            peer_flops, made.size, made.frames, settings.lora, device=pick_device(setup.device)
        ),
    )
    return made


def _said(found: Ratio) -> str:
    return f"{found.slow} / {found.fast}: {found.median:.2f} ({found.low:.2f} to {found.high:.2f})"
