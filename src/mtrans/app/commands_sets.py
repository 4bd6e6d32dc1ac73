"""`mtrans data list` and `mtrans data prepare`: the named data sets."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mtrans.app import output


class FractionOf(StrEnum):
    """What `--fraction` counts."""

    video = "video"
    sample = "sample"
    group = "group"
    speaker = "speaker"


def list_sets(
    name: Annotated[
        str | None, typer.Argument(help="A data set, to see all that is known of it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the data sets that can be prepared: what, how much, licence, chance, where from."""
    from mtrans.app.datasets import as_plain, details, rows
    from mtrans.data.adapters import ADAPTERS

    if as_json:
        shown = [ADAPTERS.get(n) for n in ([name] if name else sorted(ADAPTERS))]
        print(json.dumps([as_plain(a) for a in shown], ensure_ascii=False, indent=1))
    elif name:
        print(details(ADAPTERS.get(name)))
    else:
        head, *body = rows()
        made = output.table(*head, text=len(head))
        for row in body:
            made.add_row(*row)
        output.console().print(made)
        output.say("`mtrans data list NAME` shows splits, options, files and how to get them.")


def prepare(
    name: Annotated[str, typer.Argument(help="The data set; `mtrans data list` shows them.")],
    annotations: Annotated[
        Path, typer.Option(help="Folder that holds its annotation files, or the one file.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write manifests to.")],
    videos: Annotated[Path | None, typer.Option(help="Folder that holds its clips.")] = None,
    split_scheme: Annotated[
        str | None, typer.Option(help="Which of its splits; the first listed.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="A switch of this data set, NAME=VALUE.")
    ] = None,
    fraction: Annotated[
        float, typer.Option(help="Share of the training split to keep; smaller ones are nested.")
    ] = 1.0,
    fraction_of: Annotated[
        FractionOf,
        typer.Option(
            metavar="UNIT", help="What it counts: video, sample, group, speaker; each stays whole."
        ),
    ] = FractionOf.video,
    seed: Annotated[int, typer.Option(help="For fractions and random splits.")] = 0,
    allow_missing_videos: Annotated[
        bool, typer.Option("--allow-missing-videos", help="Keep questions whose clip is missing.")
    ] = False,
    drop_missing_videos: Annotated[
        bool, typer.Option("--drop-missing-videos", help="Leave them out; the report lists them.")
    ] = False,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Accept fewer records than published.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Turn a data set's official files into manifests, one for each split.

    Writes SPLIT.jsonl, all.jsonl, prepared.json (counts, balance, hashes) and, where clips are
    missing, missing_videos.txt.
    """
    from mtrans.core.errors import SettingsError
    from mtrans.data.prepare import prepare as run

    if allow_missing_videos and drop_missing_videos:
        raise SettingsError("--allow-missing-videos and --drop-missing-videos contradict; give one")
    wrong = [word for word in option or [] if "=" not in word]
    if wrong:
        raise SettingsError(f"--option {wrong[0]}: wanted NAME=VALUE")
    done = run(
        name,
        annotations=annotations,
        videos=videos,
        out=out,
        scheme=split_scheme,
        options=dict(word.split("=", 1) for word in option or []),
        fraction=fraction,
        fraction_of=fraction_of.value,
        seed=seed,
        missing_videos="keep"
        if allow_missing_videos
        else "drop"
        if drop_missing_videos
        else "refuse",
        allow_partial=allow_partial,
    )
    if as_json:
        print(json.dumps(output.plain(done.record), ensure_ascii=False, indent=1))
    else:
        output.console().print(output.prepared_table(done))
    for note in done.notes:
        output.say(f"note: {note}")
    if done.missing:
        what = f"{done.dropped} questions left out" if done.dropped else "their questions are kept"
        output.say(
            f"note: {len(done.missing)} clips are missing, {what}; see {out}/missing_videos.txt"
        )
    settings = " ".join(f"--set {k}={v}" for k, v in done.record["settings"].items())
    if settings:
        output.say(f"note: this set's own protocol asks for: {settings}")
