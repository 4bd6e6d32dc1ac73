"""What `mtrans bench decode` prints."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from mtrans.app import output

if TYPE_CHECKING:
    from mtrans.bench.decode import Bench, Case


def show_decode(found: Bench) -> None:
    """Prints speed and memory, then whose frames are right, and a ratio as the last line."""
    console = output.console()
    for case in found.cases:
        console.print(_speed(case))
    console.print(_right(found))
    for reader, why in found.missing.items():
        print(f"not measured: {reader} ({why.removeprefix(reader + ': ')})")
    for files, left_out in found.left_out.items():
        for file, failed in left_out.items():
            for reader, why in failed.items():
                print(f"not read: {files}/{file} by {reader} ({why.removeprefix(reader + ': ')})")
    for case in found.cases:
        if case.best is not None:
            print(f"{case.files}, {case.count} frames: {case.best}")
    worst = found.worst()
    print(f"longest against the best peer: {worst}" if worst else "no peer was measured")


def _speed(case: Case) -> object:
    made = output.table(
        "reader",
        "frames/s",
        "rounds",
        "processor ms a frame",
        "peak MiB",
        "of it importing",
        title=f"{case.files}: {case.count} frames a clip",
    )
    for reader, timed in case.readers.items():
        rates = [case.frames / s for s in timed.seconds]
        made.add_row(
            reader,
            f"{statistics.median(rates):,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{1000 * statistics.median(timed.cpu_seconds) / case.frames:.2f}",
            f"{timed.peak_mb:,.0f}",
            f"{timed.import_mb:,.0f}",
        )
    return made


def _right(found: Bench) -> object:
    made = output.table(
        "files",
        "reader",
        "frames",
        "another frame came",
        "time off by, frames",
        "pixels differ by, of 255",
        title="what came out, against decoding everything",
        text=2,
    )
    for files, verdicts in found.verdicts.items():
        for reader, verdict in verdicts.items():
            made.add_row(
                files,
                reader,
                f"{verdict.frames}",
                f"{verdict.others}",
                output.DASH if verdict.late is None else f"{verdict.late:.2f}",
                f"{verdict.difference:.2f}",
            )
    return made
