"""Training against the plain path that people use: clips a second, and memory.

For each size and number of frames, each in a process of its own, in turns:

    ours, cold cache     the first epoch of `adapt`: decode, encode, store, train
    ours, warm cache     every epoch after, and every later run on the same clips
    ours, peer's function   the same, with the peer's function: no time, every frame's tokens
    peer, online         transformers' Trainer; decodes and encodes in every epoch
    peer, 2 workers      the same, with two background processes that decode
    ours | peer, in memory  the step alone: features, or pixels, are in memory

Frames, batch, arithmetic, low-rank targets and rank are the same. The peer has whichever attention
(fused, or plain products) its step is faster with on this device.
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
from mtrans.bench.sizes import checkpoint
from mtrans.bench.train_cases import Measured, TrainSetup
from mtrans.bench.train_flops import ours_training, peer_flops
from mtrans.core.runtime import pick_device, pick_dtype

PLANS = {"tiny": (16, 4), "mid": (4, 3), "7b": (4, 4)}
"""Size -> clips of a step, steps that count; of more than 8 frames of `mid` one less."""

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
        attention: What the peer ran with.
        cases: Case -> what each round gave.
        flops: Operations of a clip in a step: ours, the peer's.
    """

    size: str
    frames: int
    batch: int
    attention: str = ""
    cases: dict[str, list[Measured]] = field(default_factory=dict)
    flops: tuple[float, float] = (0.0, 0.0)

    def clip_seconds(self, case: str) -> list[float]:
        """Returns the seconds of a clip in each counted step of all rounds."""
        found = []
        for made in self.cases[case]:
            clips = self.batch * (1 + len(made.seconds))
            found += [s / self.batch + made.prepare_seconds / clips for s in made.seconds]
        return found

    def rate(self, case: str) -> float:
        """Returns clips a second: the median step's."""
        return 1 / statistics.median(self.clip_seconds(case))

    def memory(self, case: str) -> tuple[float, float]:
        """Returns MiB at the peak, and those of it that came after the model was loaded."""
        made = max(self.cases[case], key=lambda m: m.peak_mb)
        return made.peak_mb, max(made.peak_mb - made.loaded_mb, 0.0)

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
        peak, ours = self.memory(self.peer()), self.memory(WARM)
        steps = self.ratio(PEER_MEMORY, OURS_MEMORY)
        head = f"{self.size}, {self.frames} frames: "
        return [
            f"{head}memory, {self.peer()} / {WARM}: {peak[0] / ours[0]:.2f}; beyond the loaded"
            f" model {peak[1] / max(ours[1], 1.0):.1f}",
            f"{head}{_said(self.ratio(self.peer(), COLD))}",
            f"{head}{_said(self.ratio(self.peer(), SAME))}",
            f"{head}{_said(steps)}; operations allow {self.allowed:.2f}, so"
            f" {100 * steps.median / self.allowed:.0f} % of it",
            f"{head}{_said(self.ratio(self.peer(), WARM))}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON types."""
        return asdict(self)


def bench_train(
    out: Path,
    *,
    sizes: Sequence[str] = ("tiny", "mid"),
    frames: Sequence[int] = (8, 32),
    rounds: int = 1,
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
        quick: 4 clips a step and two steps.
        said: Called with a line of progress.

    Returns:
        A comparison for each size and number of frames.
    """
    where = pick_device(device)
    found = []
    for size in sizes:
        batch, steps = (4, 2) if quick else PLANS[size]
        model = checkpoint(size, out / "models", device=str(where), dtype=pick_dtype("auto", where))
        clips = out / f"clips-{seconds:g}s" if not videos else out / "clips"
        samples = bench_clips(clips, batch * (1 + steps), seconds=seconds, videos=videos)
        for count in frames:
            fewer = size == "mid" and count > 8 and not quick
            counted = steps - 1 if fewer else steps
            setup = TrainSetup(
                checkpoint=str(model),
                samples=tuple(samples[: batch * (1 + counted)]),
                frames=count,
                batch=batch,
                steps=counted,
                out=str(out / f"{size}-{count}"),
                device=device,
            )
            found.append(_compare(Comparison(size, count, batch), setup, rounds, said))
            write_result(out / "train.json", "train", {"comparisons": [c.to_json() for c in found]})
    return found


def _compare(
    made: Comparison, setup: TrainSetup, rounds: int, said: Callable[[str], None]
) -> Comparison:
    def run(case: str, function: Callable[..., Measured], **how: Any) -> Measured:
        measured = run_apart(function, setup, **how)
        each = statistics.median(measured.seconds)
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
    return (
        f"{found.slow} / {found.fast}: {found.median:.2f} (steps {found.low:.2f} to"
        f" {found.high:.2f})"
    )
