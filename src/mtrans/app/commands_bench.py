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


Model = Annotated[str, typer.Option(help="tiny, mid, 7b, a folder, or a published checkpoint.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="One setting, key=value.")]


@bench.command("scale")
def scale(
    out: Annotated[Path, typer.Option(help="Folder of the result.")] = Path("runs/bench"),
    backbone: Model = "tiny",
    frames: Annotated[int, typer.Option(min=1, help="Frames where others change.")] = 8,
    batch: Annotated[int, typer.Option(min=1, help="Clips where others change.")] = 4,
    text: Annotated[int, typer.Option(min=1, help="Text tokens where others change.")] = 32,
    set_: Sets = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few points, little time each.")] = False,
) -> None:
    """Time training steps over 4 to 256 frames, text lengths and batches; print the exponents."""
    output.quiet_libraries()
    from mtrans.app.bench_tables import show_scale
    from mtrans.app.plan import plan_case
    from mtrans.bench.scale import QUICK, bench_scale

    case = plan_case(backbone, frames, batch, text, None, set_ or [])
    show_scale(
        bench_scale(
            out / "scale",
            case,
            name=backbone,
            points=QUICK if quick else None,
            seconds=0.2 if quick else 1.5,
            said=output.say,
        )
    )


@bench.command("limit")
def limit(
    out: Annotated[Path, typer.Option(help="Folder of the result.")] = Path("runs/bench"),
    backbone: Model = "tiny",
    frames: Annotated[int, typer.Option(min=1, help="Frames of a clip.")] = 8,
    batch: Annotated[int, typer.Option(min=1, help="Clips in a step.")] = 4,
    text: Annotated[int, typer.Option(min=1, help="Tokens of a question.")] = 32,
    set_: Sets = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Also time the step with train.compile=true.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One round, little time each.")] = False,
) -> None:
    """Hold a training step against the device's limit: arithmetic, parts, memory, disk."""
    output.quiet_libraries()
    from mtrans.app.bench_tables import show_limit
    from mtrans.app.plan import plan_case
    from mtrans.bench.limit import bench_limit

    case = plan_case(backbone, frames, batch, text, None, set_ or [])
    found = bench_limit(
        out / "limit",
        case,
        name=backbone,
        rounds=1 if quick else 3,
        seconds=0.2 if quick else 1.5,
        cache_bytes=(32 if quick else 512) << 20,
        with_compile=compile_,
        said=output.say,
    )
    show_limit(found, case, backbone)


@bench.command("rounding")
def rounding(
    data: Annotated[Path, typer.Option(help="Manifest of the questions.")],
    run: Annotated[list[Path], typer.Option(help="Finished run; repeatable, one a seed.")],
    out: Annotated[Path, typer.Option(help="Folder of the result.")] = Path("runs/bench"),
    quick: Annotated[bool, typer.Option("--quick", help="The first 50 questions.")] = False,
) -> None:
    """Answer with weights and features rounded to 16 and 8 bit, and compare with exact answers."""
    output.quiet_libraries()
    from mtrans.app.bench_tables import show_rounding
    from mtrans.bench.rounding import bench_rounding
    from mtrans.data.manifest import read_manifest

    samples = read_manifest(data)[: 50 if quick else None]
    show_rounding(bench_rounding(out / "rounding", run, samples, said=output.say))


@bench.command("decode")
def decode(
    out: Annotated[Path, typer.Option(help="Folder for clips and result.")] = Path("runs/bench"),
    videos: Annotated[
        list[Path] | None, typer.Option(help="Folder of real clips; may be given repeatedly.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips a folder at most.")] = 16,
    minutes: Annotated[float, typer.Option(min=0.01, help="Length of the long file.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each case is run.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few short clips, 4 and 8 frames, one round.")
    ] = False,
) -> None:
    """Time getting 4, 8 and 32 frames of a clip, against PyAV, decord2, torchcodec and OpenCV."""
    from mtrans.app.bench_decode import show_decode
    from mtrans.bench.decode import COUNTS, bench_decode

    show_decode(
        bench_decode(
            out / "decode",
            videos=videos or [],
            counts=COUNTS[:2] if quick else COUNTS,
            clips=min(clips, 3) if quick else clips,
            seconds=2.0 if quick else 10.0,
            minutes=min(minutes, 0.25) if quick else minutes,
            rounds=1 if quick else rounds,
            said=output.say,
        )
    )


@bench.command("page")
def page(
    kept: Annotated[Path, typer.Option(help="Folder of kept records and notes.")] = Path(
        "docs/results/bench"
    ),
    out: Annotated[Path | None, typer.Option(help="File to write instead of printing.")] = None,
) -> None:
    """Write one page of kept benchmarks: commands, tables, goals and whether they are met."""
    from mtrans.core.files import make_folder, write_text
    from mtrans.report.benchmarks_page import benchmarks_page

    made = benchmarks_page(kept)
    if out is None:
        print(made, end="")
        return
    make_folder(out.parent)
    write_text(out, made)
    print(f"benchmarks: {out}")
