"""`mtrans worlds` and `mtrans data`: clips with known truth, and what is in a manifest."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtrans.app import commands_sets, output

if TYPE_CHECKING:
    from mtrans.data.check import Check
    from mtrans.data.leaks import Leak

worlds = typer.Typer(help="Synthetic test benches with known truth.", no_args_is_help=False)
data = typer.Typer(help="Data sets and manifests: list, prepare, check, convert.")
data.command("list")(commands_sets.list_sets)
data.command("prepare")(commands_sets.prepare)


class Form(StrEnum):
    """Forms a file of samples can have."""

    manifest = "manifest"
    messages = "messages"
    sharegpt = "sharegpt"


@worlds.command("make")
def make(
    name: Annotated[str, typer.Argument(help="The world; `mtrans worlds list` shows them.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    train: Annotated[int, typer.Option(min=0, help="Training clips.")] = 0,
    val: Annotated[int, typer.Option(min=0, help="Validation clips.")] = 0,
    test: Annotated[int, typer.Option(min=0, help="Test clips.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same clips.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width in pixels; even.")] = 64,
    fps: Annotated[float | None, typer.Option(help="Frames a second; the world's own.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Length of a clip; the world's own.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw and encode.")] = 2,
) -> None:
    """Write clips (H.264 mp4) and manifests of a synthetic world.

    Clips that are there already are kept, so a stopped command goes on where it was.
    """
    from mtrans.core.errors import SettingsError
    from mtrans.video.worlds.make import make_world

    counts = {"train": train, "val": val, "test": test}
    counts = {split: n for split, n in counts.items() if n}
    if not counts:
        raise SettingsError("no clips asked for; give --train, --val or --test a number")
    with output.progress(f"drawing {name}") as step:
        totals = make_world(
            name,
            out,
            counts,
            seed,
            size=size,
            fps=fps,
            seconds=seconds,
            workers=workers,
            progress=step,
        )
    made = output.table("split", "clips", "questions", "manifest", text=1)
    for split, n in totals.items():
        made.add_row(split, str(counts[split]), str(n), str(out / f"{split}.jsonl"))
    output.console().print(made)
    output.say(output.SYNTHETIC)


@worlds.command("list")
def list_worlds() -> None:
    """List the worlds that can be made."""
    import importlib

    from mtrans.video.worlds.make import WORLDS

    made = output.table("world", "what it is", text=2)
    for name in WORLDS:
        about = importlib.import_module(f"mtrans.video.worlds.{name}").__doc__ or ""
        first = about.strip().split("\n\n")[0]
        made.add_row(name, " ".join(first.split()))
    output.console().print(made)
    output.say(output.SYNTHETIC)


@data.command("check")
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Manifests, or messages + videos files; one for a split.")
    ],
    frames: Annotated[
        int | None, typer.Option(min=1, help="Also decode this many frames of every clip.")
    ] = None,
    videos: Annotated[bool, typer.Option(help="Open the video files.")] = True,
    video_folder: Annotated[
        Path | None, typer.Option(help="Where the videos are, if not where the file says.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Splits that share something are an error.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every problem of manifests as file:line: field: reason; exit status 1 if there are any.

    Without problems it prints what is there: clips, question types, balance of the answers. Splits
    (one a file, or named by the samples of a single file) are held against each other: the same
    video, near-duplicate frames, the same group or speaker on two sides is a warning with names.
    """
    from mtrans.core.settings import FrameSettings
    from mtrans.data.check import check_manifest
    from mtrans.data.leaks import heed

    found = []
    for file in files:
        with output.progress(f"opening videos of {file.name}") as step:
            found.append(
                check_manifest(
                    file,
                    videos=videos,
                    frames=FrameSettings(count=frames) if frames else None,
                    video_folder=video_folder,
                    progress=step,
                )
            )
    ok = all(one.ok for one in found)
    leaks = _leaks(files, videos, video_folder) if ok else []
    if as_json:
        shared = {"leaks": [asdict(leak) for leak in leaks]}
        read = [one.to_json() for one in found]
        whole = read[0] | shared if len(read) == 1 else {"files": read} | shared
        print(json.dumps(output.plain(whole), ensure_ascii=False, indent=1))
        raise typer.Exit(0 if ok and not (strict and leaks) else 1)
    for file, one in zip(files, found, strict=True):
        _show(file, one, videos)
    if not ok:
        raise typer.Exit(1)
    heed(leaks, strict=strict, say=print)


def _leaks(files: list[Path], videos: bool, video_folder: Path | None) -> list[Leak]:
    """Holds splits against each other: the files, or those that a single file names."""
    from mtrans.data.leaks import by_split, find_leaks
    from mtrans.data.manifest import read_manifest

    read = {str(file): read_manifest(file, video_folder=video_folder) for file in files}
    stems = {Path(name).stem: samples for name, samples in read.items()}
    parts = by_split(next(iter(read.values()))) if len(files) == 1 else stems
    with output.progress("comparing splits") as step:
        return find_leaks(parts if len(stems) == len(read) else read, looks=videos, progress=step)


def _show(file: Path, found: Check, opened: bool) -> None:
    """Prints what a check found in a file; `opened`: whether its videos were opened."""
    for problem in found.problems:
        print(f"{problem.severity}: {problem}")
    if not found.ok:
        many = len(found.errors)
        output.say(
            f"{many} error{'s' if many > 1 else ''} in {file}; {found.usable} of {found.lines}"
            " samples can be used"
        )
        return
    length = f"{found.seconds:.0f} s" if opened else "not opened"
    splits = ", ".join(f"{name or 'no split'} {n}" for name, n in found.splits.items())
    print(
        f"{file}: {found.samples} samples ({splits}) in the {found.form} form,"
        f" {found.answered} with an answer, {found.multiple_choice} multiple choice\n"
        f"{found.videos} videos, {found.clips} clips, {length}; {found.groups} groups,"
        f" {found.speakers} speakers"
    )
    output.console().print(output.check_table(found))


@data.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(help="A manifest, or a messages + videos file.")],
    out: Annotated[Path, typer.Option(help="The JSONL file to write.")],
    to: Annotated[Form, typer.Option(help="Form to write.")] = Form.manifest,
    video_folder: Annotated[
        Path | None, typer.Option(help="Where the videos are, if not where the file says.")
    ] = None,
) -> None:
    """Convert between the manifest and the messages + videos form of fine-tuning tools.

    `messages` is read by ms-swift and LLaMA-Factory, `sharegpt` (conversations with from and value)
    by LLaMA-Factory. Both are read, too. What is written reads back to the same samples.
    """
    from mtrans.core.errors import ManifestError
    from mtrans.data.manifest import read_manifest, write_manifest
    from mtrans.data.messages_file import write_messages

    if out.exists():
        raise ManifestError(f"'{out}' exists already; give another --out")
    samples = read_manifest(file, video_folder=video_folder)
    if to is Form.manifest:
        write_manifest(out, samples)
    else:
        write_messages(out, samples, "sharegpt" if to is Form.sharegpt else "messages")
    print(f"{len(samples)} samples written to {out}")
