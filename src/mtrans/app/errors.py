"""How the command line fails: one line, a status, and a traceback only on request.

=====================  ======  =========================================================
what happened          status  what is printed on standard error
=====================  ======  =========================================================
`MTransError`          2       ``error: ...``, the error's own line
wrong usage            2       ``error: ...; see `mtrans adapt --help```
Ctrl-C                 130     ``stopped: ...``, how to go on
anything else          1       the traceback: it is a bug
=====================  ======  =========================================================

With ``--debug`` the first kind keeps its traceback too.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from mtrans.core.errors import MTransError

USAGE, INTERRUPTED = 2, 130

_RESUMABLE = {
    "adapt": "the same command goes on from the last checkpoint",
    "eval": "the same command goes on after the last answer",
    "demo": "the same command goes on where it was",
    "crossval": "the same command goes on where it was",
    "text-control": "the same command goes on where it was",
    "robustness": "the same command goes on where it was",
    "study": "the same command goes on where it was",
    "worlds": "the same command keeps the clips that are there",
}


class FriendlyGroup(TyperGroup):
    """The root of all commands; turns exceptions into one line and a status."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command line and exits, or without `standalone_mode` returns the status."""
        exits = kwargs.pop("standalone_mode", True)
        run = functools.partial(super().main, *args, **{**kwargs, "standalone_mode": False})
        if not exits:
            return run()
        try:
            status = run()
        except typer.Abort:
            fail("stopped", INTERRUPTED)
        except BrokenPipeError:
            # the reader (`| head`) has seen enough; nothing may be flushed at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            if not hasattr(error, "format_message"):  # click's own way to say what was typed wrong
                raise
            fail(f"error: {_usage(error)}", USAGE)
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command."""
        debug = bool(ctx.params.get("debug"))
        try:
            return super().invoke(ctx)
        except MTransError as error:
            if debug:
                raise
            fail(f"error: {' '.join(str(error).split())}", USAGE)
        except KeyboardInterrupt:
            if debug:
                raise
            how = _RESUMABLE.get(ctx.invoked_subcommand or "")
            fail(f"stopped: {how}" if how else "stopped", INTERRUPTED)


def fail(line: str, status: int) -> NoReturn:
    """Prints one line on standard error and exits."""
    print(line, file=sys.stderr)
    sys.exit(status)


def _usage(error: Any) -> str:
    """Returns one line for what was typed wrong, with where to look."""
    text = " ".join(str(error.format_message()).split()).rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return text
    return f"{text}; see `{context.command_path} --help`"
