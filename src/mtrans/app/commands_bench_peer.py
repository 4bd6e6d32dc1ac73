"""`mtrans bench train` and `mtrans bench answer`: against the plain path that people use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtrans.app import output

Out = Annotated[Path, typer.Option(help="Folder for models, clips and result.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda.")]
Seconds = Annotated[float, typer.Option(min=0.2, help="Length of the drawn clips.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often each case is run.")]
FOLDER = Path("runs/bench")


def train(
    out: Out = FOLDER,
    size: Annotated[
        list[str] | None, typer.Option(help="tiny, mid, 7b; may be given repeatedly.")
    ] = None,
    frames: Annotated[
        list[int] | None, typer.Option(min=1, help="Frames of a clip; may be given repeatedly.")
    ] = None,
    rounds: Rounds = 3,
    seconds: Seconds = 10.0,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of MP4 files to train on in place of drawn clips.")
    ] = None,
    device: Device = "auto",
    quick: Annotated[
        bool, typer.Option("--quick", help="tiny, 8 frames, four steps of 4 short clips.")
    ] = False,
) -> None:
    """Time training against transformers' InstructBLIP-Video with a PEFT adapter: `tiny`, `mid`."""
    from mtrans.core.errors import VideoError

    files = sorted(videos.glob("*.mp4")) if videos else []
    if videos and not files:
        raise VideoError(f"--videos {videos}: no MP4 files (*.mp4) in this folder")
    output.quiet_libraries()
    from mtrans.bench.train import bench_train

    found = bench_train(
        out / "train",
        sizes=size or (("tiny",) if quick else ("tiny", "mid")),
        frames=frames or ((8,) if quick else (8, 32)),
        rounds=1 if quick else rounds,
        seconds=min(seconds, 2.0) if quick else seconds,
        videos=files,
        device=device,
        quick=quick,
        said=output.say,
    )
    made = output.table(
        "model, frames", "case", "clips/s", "s a step", "MiB", "above importing", "tokens", text=2
    )
    for part in found:
        for case, rounds_ in part.cases.items():
            peak, above = part.memory(case)
            step = part.batch / part.rate(case)
            made.add_row(
                f"{part.size}, {part.frames}",
                case,
                f"{part.rate(case):.2f}",
                f"{step:.2f}",
                f"{peak:.0f}",
                output.DASH if above is None else f"{above:.0f}",
                str(rounds_[0].visual_tokens),
            )
    output.console().print(made)
    attention = ", ".join(f"{p.size} {p.frames} frames {p.attention}" for p in found)
    print(f"attention that the peer is faster with, and has here: {attention}")
    for part in found:
        for line in part.lines():
            print(line)


def answer(
    out: Out = FOLDER,
    size: Annotated[str, typer.Option(help="tiny, mid or 7b.")] = "mid",
    frames: Annotated[
        list[int] | None, typer.Option(min=1, help="Frames of a clip; may be given repeatedly.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Clips at once; may be given repeatedly.")
    ] = None,
    rounds: Rounds = 2,
    words: Annotated[int, typer.Option(min=1, help="Tokens written.")] = 16,
    seconds: Seconds = 10.0,
    device: Device = "auto",
    quick: Annotated[
        bool, typer.Option("--quick", help="tiny, 4 and 16 frames, one clip, one round.")
    ] = False,
) -> None:
    """Time answers and follow-up questions against transformers' InstructBLIP-Video."""
    output.quiet_libraries()
    from mtrans.bench.answer_run import BF16, EACH, OURS, PEER, WHATS, bench_answer, findings

    found = bench_answer(
        out / "answer",
        size="tiny" if quick else size,
        frames=frames or ((4, 16) if quick else (4, 8, 16, 64)),
        batches=batch or ((1,) if quick else (1, 8)),
        rounds=1 if quick else rounds,
        words=min(words, 4) if quick else words,
        seconds=min(seconds, 2.0) if quick else seconds,
        device=device,
        said=output.say,
    )
    heads = ("ours s", "peer s", "in bf16 s", "a pass each s", "peer / ours", "in bf16 / ours")
    made = output.table("frames", "clips", "what", *heads, text=3)
    for part in found:
        for what in (w for w in WHATS if w in part.seconds):
            times = [part.median(what, side) for side in (OURS, PEER, BF16, EACH)]
            ratios = [part.ratio(what, side) for side in (PEER, BF16)]
            made.add_row(
                str(part.frames),
                str(part.batch),
                what,
                *(output.DASH if t is None else f"{t:.3f}" for t in times),
                *(output.DASH if r is None else f"{r.median:.2f}" for r in ratios),
            )
    output.console().print(made)
    for line in findings(found):
        print(line)
