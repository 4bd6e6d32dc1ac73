"""`mtrans crossval`: a result on small data, with what must stand beside it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mtrans.app import output


class ManyValues(TyperCommand):
    """A command without arguments, so that ``--seeds 0 1 2`` can mean three ``--seeds``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the words after giving each value its own option."""
        names = {n for p in self.params if getattr(p, "multiple", False) for n in p.opts}
        return super().parse_args(ctx, spread(args, names))


def spread(words: list[str], names: set[str]) -> list[str]:
    """Returns ``--seeds 0 1`` as ``--seeds 0 --seeds 1``, for the options named."""
    out: list[str] = []
    current: str | None = None
    for word in words:
        if word in names:
            current = word
        elif word.startswith("-"):
            current = None
            out.append(word)
        else:
            out += [current, word] if current else [word]
    return out


class By(StrEnum):
    """What stays on one side."""

    video = "video"
    group = "group"
    speaker = "speaker"


def crossval(
    data: Annotated[Path, typer.Option(help="Manifest of all samples, e.g. PREPARED/all.jsonl.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Make so many stratified folds.", show_default="those given"),
    ] = None,
    by: Annotated[
        By,
        typer.Option(metavar="UNIT", help="What is never torn apart: video, group or speaker."),
    ] = By.video,
    repeats: Annotated[
        int,
        typer.Option(min=1, help="Make folds so many times over, with fold seed, +1, +2, ..."),
    ] = 1,
    val: Annotated[
        float, typer.Option(help="Share of the training clips to choose on; 0: none.")
    ] = 0.15,
    fold_seed: Annotated[int, typer.Option(help="Of folds and validation parts.")] = 0,
    contenders: Annotated[
        list[str] | None,
        typer.Option(help="Beside ours and text: single, mean, concat, paper."),
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option(help="Of the runs, e.g. 0 1 2.", show_default="0")
    ] = None,
    fraction: Annotated[
        list[float] | None,
        typer.Option(help="Shares of the training clips, for a curve, e.g. 0.1 0.25 1."),
    ] = None,
    nuisance: Annotated[
        list[str] | None,
        typer.Option(help="What the shortcut floor sees too: speaker, group, type or a fact."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="tiny, a folder, or a published checkpoint.", show_default="tiny"),
    ] = None,
    preset: Annotated[str, typer.Option(help="Ours: mtrans, or paper.")] = "mtrans",
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of a clip.", show_default="the preset's")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of every run.", show_default="the preset's epochs"),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Questions a step.", show_default="the preset's")
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(help="Candidates to choose on validation, key=value,value,..."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Settings for all, key=value; `mtrans settings` lists them."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", show_default="auto")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Runs side by side, each on its share of the cores.")
    ] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where folds share clips, groups or speakers.")
    ] = False,
) -> None:
    """Cross-validate: every fold, seed and contender; pooled answers with intervals and floors.

    Text-only (same LLM, same budget), chance, majority and a classifier on container facts always
    stand beside the result. Hyper-parameters are chosen on a part of the training folds. Stopped,
    the same command goes on where it was. Options that repeat take several values at once.
    """
    from mtrans.app.crossval import crossval as cross_validate

    output.quiet_libraries()
    found = cross_validate(
        *(data, out),
        folds=folds,
        by=by.value,
        repeats=repeats,
        val=val,
        fold_seed=fold_seed,
        contenders=contenders or (),
        seeds=seeds or (0,),
        fraction=fraction or (),
        nuisance=nuisance or (),
        backbone=backbone,
        preset=preset,
        frames=frames,
        steps=steps,
        batch=batch,
        search=_pairs(search or (), several=True),
        settings=_pairs(set_ or ()),
        device=device,
        workers=workers,
        strict=strict,
    )
    print(found.table)
    print(f"tables: {out / 'table.md'}, {out / 'table.csv'}, {out / 'results.json'}")
    print(f"report: {found.report}")
    if found.failure:
        raise found.failure


def _pairs(words: list[str] | tuple[str, ...], several: bool = False) -> dict[str, Any]:
    """Reads key=value words; with `several` the value is a list."""
    import yaml

    from mtrans.core.errors import SettingsError

    pairs: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise SettingsError(f"'{word}': wanted key=value")
        try:
            parts = [yaml.safe_load(part) for part in value.split(",")] if several else None
            pairs[key] = parts or yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(f"'{word}': {' '.join(str(error).split())}") from error
    return pairs
