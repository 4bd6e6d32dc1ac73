"""`mtrans bench`: what is faster, and by how much, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtrans.app import output

bench = typer.Typer(help="Benchmarks; each ends in a ratio.", no_args_is_help=False)


@bench.command("epoch")
def epoch(
    out: Annotated[Path, typer.Option(help="Folder for clips and result.")] = Path("runs/bench"),
    world: Annotated[str, typer.Option(help="Synthetic world.")] = "talk",
    clips: Annotated[int, typer.Option(min=1, help="Training clips.")] = 600,
    frames: Annotated[int, typer.Option(min=1, help="Frames of a clip.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="How often each case is run.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="60 clips, one round.")] = False,
) -> None:
    """Time an epoch of `adapt` from video, with a cold and with a warm feature cache."""
    output.quiet_libraries()
    from mtrans.bench.epoch import bench_epoch

    clips, rounds = (min(clips, 60), 1) if quick else (clips, rounds)
    result = bench_epoch(
        out / "epoch", world=world, clips=clips, frames=frames, rounds=rounds, said=output.say
    )
    made = output.table("features from", "seconds an epoch, by round", text=1)
    for case, seconds in result["seconds_per_epoch"].items():
        made.add_row(case, ", ".join(f"{s:.2f}" for s in seconds))
    output.console().print(made)
    for line in result["ratios"]:
        print(line)
