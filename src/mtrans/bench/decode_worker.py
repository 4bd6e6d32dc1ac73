"""A reader in a process of its own, kept for the rounds of one case: ``python -m`` this module.

    first line in:  the reader's name        first line out: {"ok": ..., "import_mb": ...}
    each line in:   {"wanted": [...]}        out: {"seconds", "cpu_seconds", "peak_mb"}
                    ... with "save": FILE    out: {}, after writing pixels and times to FILE

Lines are JSON on standard input and output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from mtrans.bench.decode_readers import READERS, Wanted
from mtrans.core.errors import MTransError
from mtrans.core.memory import memory_of_process


class ReaderError(MTransError):
    """A reader is not there, or failed."""


class Worker:
    """A process with one reader.

    Args:
        name: The reader's.
        libraries: Folder with FFmpeg's shared libraries for readers that bring none; see
            `ffmpeg_links`.

    Raises:
        ReaderError: It can't be imported.
    """

    def __init__(self, name: str, libraries: str | None = None) -> None:
        environment = dict(os.environ)
        if libraries:
            before = environment.get("LD_LIBRARY_PATH")
            environment["LD_LIBRARY_PATH"] = libraries + (f":{before}" if before else "")
        self.name = name
        # SIM115: it lives as long as the worker, and `close` closes it
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=environment,
        )
        try:
            self.import_mb = float(self._answer()["import_mb"])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the process."""
        cast(IO[str], self._process.stdin).close()
        cast(IO[str], self._process.stdout).close()
        self._process.wait()
        self._said.close()

    def read(self, wanted: list[Wanted], save: Path | None = None) -> dict[str, Any]:
        """Reads from files, one after the other.

        Args:
            wanted: What from which.
            save: Keep the frames of the only file in this ``.npz``, in place of timing.

        Returns:
            ``seconds``, ``cpu_seconds`` and ``peak_mb``; nothing with `save`.

        Raises:
            ReaderError: It failed.
        """
        asked = {"wanted": [vars(w) for w in wanted], "save": save and str(save)}
        try:
            stdin = cast(IO[str], self._process.stdin)
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; what it said last is told below
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = cast(IO[str], self._process.stdout).readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            last = (self._said.read().strip().splitlines() or ["it said nothing"])[-1]
            raise ReaderError(f"{self.name}: ended with {self._process.returncode}: {last}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ReaderError(f"{self.name}: {answer['error']}")
        return answer


def ffmpeg_links(folder: Path) -> str | None:
    """Makes PyAV's FFmpeg available under the usual names, for torchcodec where no system has it.

    Args:
        folder: Where links are put.

    Returns:
        What to put on the loader's path; None where PyAV brings no libraries of its own.
    """
    import av

    bundled = Path(av.__file__).parent.parent / "av.libs"
    if sys.platform != "linux" or not bundled.is_dir():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for path in bundled.glob("lib*-*.so.*"):
        stem, _, version = path.name.partition(".so.")
        link = folder / f"{stem.rpartition('-')[0]}.so.{version.split('.')[0]}"
        if link.name.startswith(("libav", "libsw")):
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
    return f"{folder.resolve()}:{bundled.resolve()}"


def _main() -> None:
    # libraries print to standard output as they please; answers go where they don't
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    try:
        read = READERS[sys.argv[1]]()
    except Exception as error:  # whatever a foreign library raises when it can't be loaded
        answer(error=_first_line(error))
        return
    answer(import_mb=memory_of_process()[1] / 2**20)
    for line in sys.stdin:
        asked = json.loads(line)
        wanted = [Wanted(**w) for w in asked["wanted"]]
        try:
            if asked["save"]:
                got = read(wanted[0])
                np.savez(asked["save"], pixels=got.pixels, times=got.times)
                answer()
                continue
            start, cpu = time.perf_counter(), time.process_time()
            for one in wanted:
                read(one)
            spent = {
                "seconds": time.perf_counter() - start,
                "cpu_seconds": time.process_time() - cpu,
            }
            answer(**spent, peak_mb=memory_of_process()[1] / 2**20)
        except Exception as error:  # as above; the table names it
            answer(error=_first_line(error))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


if __name__ == "__main__":
    _main()
