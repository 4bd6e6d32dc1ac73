"""One case of a benchmark in a process of its own, so that its peak memory is its own.

    fresh("mtrans.bench.train_cases:ours", {...}) -> JSON in, JSON out

Peak memory is taken from the process itself: on Linux `ru_maxrss` starts with that of whoever
started the process, so ``VmHWM`` is read in its place.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError


class CaseError(MTransError):
    """A case of a benchmark failed."""


def fresh(work: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Calls a function in a new process.

    Args:
        work: ``package.module:function``; it takes keywords and returns a dictionary, both of JSON
            types.
        arguments: The keywords.

    Returns:
        What it returns.

    Raises:
        CaseError: The process failed; the message has the last line it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "mtrans.bench.fresh", work],
        input=json.dumps(dict(arguments)),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CaseError(f"case '{work}' ended with code {done.returncode}: {said}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def peak_mb() -> float:
    """Returns the highest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _main() -> None:
    module, _, function = sys.argv[1].partition(":")
    arguments = json.load(sys.stdin)
    result = getattr(importlib.import_module(module), function)(**arguments)
    print(json.dumps(result))


if __name__ == "__main__":
    _main()
