"""What people see while a result is made: lines and bars, on standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


def say(words: str, shown: bool = True) -> None:
    """Prints a line about the making of a result."""
    if shown:
        print(words, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(words: str, shown: bool = True) -> Iterator[Callable[[int, int], None] | None]:
    """Shows a progress bar where standard error is a terminal.

    Args:
        words: What is being done.
        shown: Whether to show it at all.

    Yields:
        A function of (done, total), or None where nothing is shown.
    """
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(words, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
