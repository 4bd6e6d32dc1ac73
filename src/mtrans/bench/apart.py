"""A function run in a process of its own, so that its peak memory is its own.

Processes come from a fork server that has torch and this package imported and has computed nothing:
each starts at once, with the same memory, and takes what it made with it when it ends.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from mtrans.core.errors import MTransError

Made = TypeVar("Made")

PRELOADED = ["torch", "transformers", "peft", "mtrans.train.adapt", "mtrans.infer.predictor"]


class BenchError(MTransError):
    """A case of a benchmark that can't be run."""


def run_apart(function: Callable[..., Made], *args: Any, **kwargs: Any) -> Made:
    """Runs a function in a fresh process and waits for it.

    Args:
        function: Defined at the top of a module; it and its arguments must be picklable.
        *args: For the function.
        **kwargs: For the function.

    Returns:
        What the function returned.

    Raises:
        BenchError: It failed, or was killed (out of memory, as a rule).
        MTransError: What the function raised of that kind.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(there, function, args, kwargs))
    process.start()
    there.close()
    name = getattr(function, "__name__", str(function))
    try:
        made, error = here.recv()
    except EOFError:
        process.join()
        raise BenchError(
            f"{name}: its process ended with {process.exitcode} and no result; a case that needs"
            " more memory than there is ends so"
        ) from None
    except KeyboardInterrupt:
        process.terminate()
        raise
    finally:
        process.join()
    if isinstance(error, MTransError):
        raise error
    if error is not None:
        raise BenchError(f"{name}: {error}")
    return made  # type: ignore[no-any-return]


def _work(
    answer: Connection, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    try:
        answer.send((function(*args, **kwargs), None))
    except MTransError as error:
        answer.send((None, error))
    except Exception as error:  # the parent gets it whole: nobody else would see it
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename}:{last.lineno}"
        answer.send((None, f"{type(error).__name__}: {error} ({place})"))
