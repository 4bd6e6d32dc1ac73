"""`mtrans results`: published figures beside ours, in the paper's form."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """How the table is written."""

    markdown = "markdown"
    latex = "latex"
    csv = "csv"


def results(
    ours: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SET=FOLDER]...", help="A run or a cross-validation, e.g. mustard=runs/cv."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--set", help="Data set to show; repeatable.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="markdown, latex or csv.")] = Form.markdown,
    out: Annotated[Path | None, typer.Option(help="File to write instead of printing.")] = None,
) -> None:
    """Print the paper's table: published rows, cited and marked, beside rows of our runs.

    Sets: ur_funny, mustard (5 folds), mustard_star, clevrer, qaego4d, youcook2. Ours are measured
    from the folders' answers with intervals; the published ones are copied from their authors.
    Answers to another data set's or split's questions are refused, answers to a part say so.
    """
    from mtrans.core.errors import SettingsError
    from mtrans.core.files import make_folder, write_text
    from mtrans.report import paper

    pairs = []
    for word in ours or ():
        name, equals, folder = word.partition("=")
        if not equals:
            raise SettingsError(f"'{word}': wanted SET=FOLDER, e.g. mustard=runs/cv")
        pairs.append((name, Path(folder)))
    made = paper.tables(pairs, only or ())
    write = {"markdown": paper.to_markdown, "latex": paper.to_latex, "csv": paper.to_csv}
    text = write[form.value](made)
    if out is None:
        print(text, end="")
        return
    make_folder(out.parent)
    write_text(out, text)
    print(f"table: {out}")
