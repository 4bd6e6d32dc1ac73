"""`mtrans worlds` and `mtrans data`: clips with known truth, and what is in a manifest."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mtrans.app import commands_sets, output

worlds = typer.Typer(help="Synthetic test benches with known truth.", no_args_is_help=False)
data = typer.Typer(help="Data sets and manifests: list, prepare, check, convert.")
data.command("list")(commands_sets.list_sets)
data.command("prepare")(commands_sets.prepare)


class Form(StrEnum):
    """Forms a file of samples can have."""

    manifest = "manifest"
    messages = "messages"


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
    file: Annotated[Path, typer.Argument(help="A manifest, or a messages + videos file.")],
    frames: Annotated[
        int | None, typer.Option(min=1, help="Also decode this many frames of every clip.")
    ] = None,
    videos: Annotated[bool, typer.Option(help="Open the video files.")] = True,
    video_folder: Annotated[
        Path | None, typer.Option(help="Where the videos are, if not where the file says.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every problem of a manifest as file:line: field: reason; exit status 1 if it has any.

    Without problems it prints what is there: clips, question types, balance of the answers.
    """
    from mtrans.core.settings import FrameSettings
    from mtrans.data.check import check_manifest

    with output.progress("opening videos") as step:
        found = check_manifest(
            file,
            videos=videos,
            frames=FrameSettings(count=frames) if frames else None,
            video_folder=video_folder,
            progress=step,
        )
    if as_json:
        print(json.dumps(output.plain(found.to_json()), ensure_ascii=False, indent=1))
        raise typer.Exit(0 if found.ok else 1)
    for problem in found.problems:
        print(f"{problem.severity}: {problem}")
    if not found.ok:
        many = len(found.errors)
        output.say(
            f"{many} error{'s' if many > 1 else ''} in {file}; {found.samples} valid samples"
        )
        raise typer.Exit(1)
    splits = ", ".join(f"{name or 'no split'} {n}" for name, n in found.splits.items())
    print(
        f"{file}: {found.samples} samples ({splits}) in the {found.form} form,"
        f" {found.answered} with an answer, {found.multiple_choice} multiple choice\n"
        f"{found.videos} videos, {found.clips} clips, {found.seconds:.0f} s; {found.groups} groups,"
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
    """Convert between the manifest and the messages + videos form of fine-tuning tools."""
    from mtrans.core.errors import ManifestError
    from mtrans.data.manifest import read_manifest, write_manifest
    from mtrans.data.messages import messages_from_sample

    if out.exists():
        raise ManifestError(f"'{out}' exists already; give another --out")
    samples = read_manifest(file, video_folder=video_folder)
    if to is Form.manifest:
        write_manifest(out, samples)
    else:
        lines = [json.dumps(messages_from_sample(s), ensure_ascii=False) + "\n" for s in samples]
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text("".join(lines), encoding="utf-8", newline="\n")
        except OSError as error:
            raise ManifestError(f"'{out}' can't be written: {error.strerror}") from error
    print(f"{len(samples)} samples written to {out}")
