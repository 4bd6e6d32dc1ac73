"""Arithmetic that decides what of the model runs; without torch, so that costs can be computed."""

from __future__ import annotations

from typing import Any

from mtrans.core.errors import SettingsError
from mtrans.core.settings import ModelSettings

ROUTER_HIDDEN = 64
"""Hidden units of a router."""

SPATIAL_MASKS = 3
"""Masks of the spatial family."""

TIME_SCALES = (0.1, 1.0, 10.0)
"""Seconds around which the relative position resolves differences."""

POSITION_HIDDEN = 16
"""Hidden units of the relative position's MLP."""

NEIGHBOURS = 27
"""Patches that are mixed: one and what is around it in picture and time."""


def query_count(config: Any, settings: ModelSettings) -> int:
    """Returns how many of the Q-Former's learned queries are asked, `Q`.

    Args:
        config: An InstructBLIP or BLIP-2 config.
        settings: The switches; `queries` decides.

    Raises:
        SettingsError: More than there are.
    """
    there = int(config.num_query_tokens)
    if settings.queries is not None and settings.queries > there:
        raise SettingsError(
            f"model.queries={settings.queries}: the backbone has learned {there} queries; give at"
            f" most {there}, or null for all"
        )
    return settings.queries or there


def masks_of_layer(settings: ModelSettings, layer: int, available: int) -> int:
    """How many masks the routers of a layer mix: masks_per_layer, at most what the family has."""
    per_layer = settings.masks_per_layer
    return min(per_layer[min(layer, len(per_layer) - 1)], available)


def is_cheaper(*, queries: int, patches: int, width: int, image_width: int, heads: int) -> bool:
    """Compares multiplications of both ways of cross-attention (`absorbed.py`), for one frame.

    Args:
        queries: `Q`.
        patches: `P`.
        width: Q-Former width `C`.
        image_width: Patch width `Cv`.
        heads: Attention heads.
    """
    return queries * image_width * (width + heads * patches) < (
        patches * width * (image_width + queries)
    )
