"""Commands that several processes run together (`torchrun`, `accelerate launch`)."""

from __future__ import annotations

import os
import sys


def main_process() -> bool:
    """Whether this is the one process of several that speaks."""
    if os.environ.get("RANK", "0") != "0" and int(os.environ.get("WORLD_SIZE") or 1) > 1:
        return False  # before the processes have met
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return True
    return bool(distributed.get_rank() == 0)
