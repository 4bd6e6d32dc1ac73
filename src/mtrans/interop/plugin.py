"""What lmms-eval finds through the entry point ``lmms_eval.models``: a model called ``mtrans``."""

from __future__ import annotations

from typing import Any

MODEL = "mtrans.interop.lmms_eval.LmmsModel"


def manifest() -> Any:
    """Returns lmms-eval's description of our model.

    lmms-eval calls this while it is itself being imported, so nothing but its registry is touched;
    it imports `MODEL` when a run asks for it.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="mtrans", simple_class_path=MODEL)
