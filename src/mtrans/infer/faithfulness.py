"""Is a map of what matters true? Deletion and insertion curves, held against random orders.

*Deletion*: cells are hidden, the most important first; a true map makes the answer fall early.
*Insertion*: from nothing, cells are shown, the most important first; it rises early. (Petsiuk et
al., RISE, BMVC 2018.) A map is *no better than random* where fewer than 19 of 20 random orders do
worse, by each curve's area.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Score = Callable[[NDArray[np.bool_]], Array]
"""bool[n, cells], True where a cell is shown -> float[n], how likely the answer is."""

STEPS = 8
"""Steps from all cells to none."""

ORDERS = 19
"""Random orders: a map that beats all of them is one of 20."""

LEVEL = 0.05
"""Share of random orders (and the map itself) that may do as well."""


def random_curves(score: Score, cells: int, *, orders: int = ORDERS, seed: int = 0) -> Array:
    """Hides and shows cells in random orders.

    Args:
        score: The model.
        cells: Cells of a clip.
        orders: Random orders.
        seed: Of the orders.

    Returns:
        float[2, orders, STEPS + 1]: deletion and insertion.
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(cells) for _ in range(orders)]
    return np.stack(
        [np.stack(pair) for pair in zip(*(_both(score, o) for o in drawn), strict=True)]
    )


def faithfulness(score: Score, importance: Array, random: Array) -> dict[str, Any]:
    """Holds one map against random orders.

    Args:
        score: The model.
        importance: float[cells], higher is more important.
        random: From :func:`random_curves`.

    Returns:
        For ``deletion`` and ``insertion``: ``x`` (share of cells), ``curve``, ``random`` (mean),
        ``low`` and ``high`` (extremes), ``area``, ``random_area``, ``p``, ``better``; and ``says``.
    """
    order = np.argsort(-np.asarray(importance, np.float64), kind="stable")
    x = np.linspace(0, 1, STEPS + 1)
    out: dict[str, Any] = {}
    for name, curve, others, sign in zip(
        ("deletion", "insertion"), _both(score, order), random, (1, -1), strict=True
    ):
        areas, area = np.trapezoid(others, x, axis=1), float(np.trapezoid(curve, x))
        # ties count for chance; the map itself is one of the orders
        p = float((1 + (sign * areas <= sign * area + 1e-12).sum()) / (1 + len(areas)))
        out[name] = {
            "x": x.tolist(),
            "curve": curve.tolist(),
            "random": others.mean(axis=0).tolist(),
            "low": others.min(axis=0).tolist(),
            "high": others.max(axis=0).tolist(),
            "area": area,
            "random_area": float(areas.mean()),
            "p": p,
            "better": p <= LEVEL + 1e-12,
        }
    out["says"] = _says(out)
    return out


def _says(found: dict[str, Any]) -> str:
    good = [name for name in ("deletion", "insertion") if found[name]["better"]]
    if len(good) == 2:
        return "Better than random orders by deletion and by insertion."
    if good:
        other = "insertion" if good == ["deletion"] else "deletion"
        return f"Better than random orders by {good[0]}, no better than random by {other}."
    return "No better than random: this map does not show what the answer rests on."


def _both(score: Score, order: NDArray[np.int64]) -> tuple[Array, Array]:
    """Returns float[STEPS + 1] of hiding, and of showing, cells in an order."""
    cells = len(order)
    ends = np.linspace(0, cells, STEPS + 1).round().astype(int)
    shown = np.ones((2, STEPS + 1, cells), bool)
    shown[1] = False
    for step, end in enumerate(ends):
        shown[0, step, order[:end]] = False
        shown[1, step, order[:end]] = True
    values = np.asarray(score(shown.reshape(-1, cells)), np.float64).reshape(2, STEPS + 1)
    return values[0], values[1]
