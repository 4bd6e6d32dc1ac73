"""Markdown as the pages, cards and tables of this package write it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, text: int | None = None
) -> list[str]:
    """Returns the lines of a table.

    Args:
        head: Names of the columns.
        rows: Cells.
        text: Columns of words; those that follow are set to the right. None: all are words.

    Returns:
        A line a row after the two of the head; no empty line follows.
    """
    words = len(head) if text is None else text
    ruled = "|---" * words + "|---:" * (len(head) - words) + "|"
    first, *others = (f"| {' | '.join(map(_cell, row))} |" for row in (head, *rows))
    return [first, ruled, *others]


def deeper(text: str, levels: int) -> str:
    """Returns Markdown with its headings so many levels deeper; code is left alone."""
    lines = []
    code = False
    for line in text.rstrip().splitlines():
        code ^= line.startswith("```")
        lines.append("#" * levels + line if line.startswith("#") and not code else line)
    return "\n".join(lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
