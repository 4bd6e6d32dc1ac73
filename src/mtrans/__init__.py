"""mtrans: turn an image multimodal model into a video model with a handful of labelled clips.

`mtrans.load` is the front door (`mtrans.app.api`), `mtrans.crossval` the protocol for small data
(`mtrans.app.crossval`). Importing this package imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Turn", "__version__", "crossval", "load"]

if TYPE_CHECKING:
    from mtrans.app.api import load
    from mtrans.app.crossval import crossval
    from mtrans.core.records import Turn


def __getattr__(name: str) -> Any:
    if name == "load":
        from mtrans.app.api import load

        return load
    if name == "crossval":
        from mtrans.app.crossval import crossval

        return crossval
    if name == "Turn":
        from mtrans.core.records import Turn

        return Turn
    raise AttributeError(f"module 'mtrans' has no attribute '{name}'")
