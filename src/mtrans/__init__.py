"""mtrans: turn an image multimodal model into a video model with a handful of labelled clips.

`mtrans.load` is the front door; see `mtrans.app.api`. Importing this package imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from mtrans.app.api import load


def __getattr__(name: str) -> Any:
    if name == "load":
        from mtrans.app.api import load

        return load
    raise AttributeError(f"module 'mtrans' has no attribute '{name}'")
