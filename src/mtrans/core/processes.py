"""Helper processes."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Ends this process when the one that started it is gone, however that ended.

    A pool's process waits for work on a pipe that it holds open itself, so after ``kill -9`` of its
    parent it would wait for ever. What it was at is given up; runs go on from their checkpoints.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for, args=(parent,), daemon=True).start()


def _wait_for(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
