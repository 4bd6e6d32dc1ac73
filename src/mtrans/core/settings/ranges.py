"""What values numbers among the settings may take: one table, checked as settings are made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mtrans.core.errors import SettingsError


@dataclass(frozen=True)
class Range:
    """Values that a setting may take.

    Attributes:
        words: As an error says them.
        holds: Whether a number is one of them; NaN and infinity never are.
    """

    words: str
    holds: Callable[[float], bool]


POSITIVE = Range("a number above 0", lambda v: v > 0)
NOT_NEGATIVE = Range("0 or more", lambda v: v >= 0)
ONE_UP = Range("at least 1", lambda v: v >= 1)
SHARE = Range("a share from 0 to 1", lambda v: 0 <= v <= 1)
BELOW_ONE = Range("0 or more, below 1", lambda v: 0 <= v < 1)
SEED = Range(f"a number from 0 to {2**32 - 1}", lambda v: 0 <= v < 2**32)
STEPS = Range("at least 1, or -1 to count epochs", lambda v: v == -1 or v >= 1)

RANGES: dict[str, dict[str, Range]] = {
    "frames": {"count": ONE_UP},
    "model": {
        "width": ONE_UP,
        "queries": ONE_UP,
        "memory": ONE_UP,
        "budget": ONE_UP,
        "gate_init": Range("a finite number", lambda v: True),
        "position_scale": NOT_NEGATIVE,
        "position_order": NOT_NEGATIVE,
        "patch_mixing": NOT_NEGATIVE,
        "patch_mixing_step": NOT_NEGATIVE,
        "max_frames": ONE_UP,
        "routing_temperature": POSITIVE,
        "routing_temperature_end": POSITIVE,
        "temporal_radii": NOT_NEGATIVE,
    },
    "lora": {"rank": ONE_UP, "alpha": POSITIVE, "dropout": BELOW_ONE},
    "train": {
        "epochs": POSITIVE,
        "max_steps": STEPS,
        "batch_size": ONE_UP,
        "micro_batch_size": ONE_UP,
        "learning_rate": POSITIVE,
        "weight_decay": NOT_NEGATIVE,
        "betas": BELOW_ONE,
        "warmup": SHARE,
        "clip_norm": NOT_NEGATIVE,
        "label_smoothing": BELOW_ONE,
        "focal_gamma": NOT_NEGATIVE,
        "position_learning_rate": POSITIVE,
        "evaluate_every": ONE_UP,
        "patience": ONE_UP,
        "save_every": ONE_UP,
        "seed": SEED,
        "workers": NOT_NEGATIVE,
    },
    "prompt": {"max_text_tokens": ONE_UP},
}
"""Group -> setting -> its range; of a list each element, and None is left alone."""


def check_ranges(group: str, settings: Any) -> None:
    """Checks all numbers of a group of settings.

    Args:
        group: Its name, a key of :data:`RANGES`.
        settings: The dataclass.

    Raises:
        SettingsError: A number is out of its range; the first one is named.
    """
    for name, wanted in RANGES[group].items():
        value = getattr(settings, name)
        for number in value if isinstance(value, list | tuple) else (value,):
            if number is not None and not (math.isfinite(number) and wanted.holds(number)):
                raise SettingsError(f"{group}.{name}={_shown(value)}: {wanted.words} is wanted")


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
