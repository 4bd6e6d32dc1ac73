"""Named starting points: presets, and the contenders that a method must beat."""

from __future__ import annotations

from typing import Any, get_args

from mtrans.core.settings.fields import ConnectorName

# What each preset changes against the defaults above. `mtrans` is the best we know.
PRESETS: dict[str, dict[str, Any]] = {
    "mtrans": {
        "lora.targets": ("query", "key", "value", "output"),
        "model.patch_mixing": 32,
    },
    "paper": {
        "model.temporal_gate": "none",
        "model.temporal_position": "absolute",
        "model.position_scale": 0.3,
        "model.routing": "both",
        "model.routing_form": "hadamard",
        "model.pool": "mean",
        "model.qformer_text": "context",
        "model.llm_text": "question",
        "train.learning_rate": 1e-4,
        "train.batch_size": 2,
        "train.epochs": 25.0,
    },
}

# Contenders that share everything with a preset but its temporal design.
BASELINES: dict[str, dict[str, Any]] = {
    # of no frame or of one there is nothing to pool or to mix
    "text": {"model.vision": False, "model.pool": "mean", "model.patch_mixing": 0},
    "single": {"frames.count": 1, "model.pool": "mean", "model.patch_mixing": 0},
    **{
        pool: {
            "model.mqt": False,
            "model.routing": "off",
            "model.pool": pool,
            "model.patch_mixing": 0,
        }
        for pool in ("mean", "last", "concat")
    },
    **{
        name: {"model.connector": name, **({} if name == "mqt" else {"model.patch_mixing": 0})}
        for name in get_args(ConnectorName)
    },
}
