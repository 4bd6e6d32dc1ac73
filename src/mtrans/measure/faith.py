"""How often maps of what matters are true: over many clips, against random maps.

One clip says little: a map may be lucky there. `mtrans explain RUN --clips N` holds the maps of one
question about each of N clips against random orders (:mod:`mtrans.infer.faithfulness`); here the
clips on which a map won are counted, with an exact binomial interval.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.core.files import write_text
from mtrans.measure.intervals import binomial

SCHEMA = 1
"""Version of the layout of ``faithfulness.json``."""

FAITHFULNESS = "faithfulness.json"
"""Name of the result."""

CHANCE = 0.05
"""Share of clips on which a random map would win by one curve, and at most by both."""


def faith(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts the clips on which each map beats random orders.

    Args:
        lines: One a clip: ``id`` and ``maps``, by name ``deletion`` and ``insertion``, each with
            ``better``, ``area`` and ``random_area``.

    Returns:
        ``n``, ``chance`` and ``maps``: ``name``, ``n``, share of clips ``better`` by both curves
        with ``low`` and ``high``, by ``deletion`` and by ``insertion`` alone; ``gain_deletion`` and
        ``gain_insertion``, the mean area won against random; ``says``.
    """
    names = dict.fromkeys(name for line in lines for name in line["maps"])
    rows = []
    for name in names:
        found = [line["maps"][name] for line in lines if name in line["maps"]]
        by = {k: np.array([m[k]["better"] for m in found]) for k in ("deletion", "insertion")}
        both = by["deletion"] & by["insertion"]
        low, high = binomial(int(both.sum()), len(found))
        row = {"name": name, "n": len(found), "better": float(both.mean()), "low": low}
        row |= {"high": high, **{k: float(v.mean()) for k, v in by.items()}}
        row["gain_deletion"] = _mean(
            m["deletion"]["random_area"] - m["deletion"]["area"] for m in found
        )
        row["gain_insertion"] = _mean(
            m["insertion"]["area"] - m["insertion"]["random_area"] for m in found
        )
        rows.append(row)
    rows.sort(key=lambda row: -float(row["better"]))  # type: ignore[arg-type]
    document = {"schema": SCHEMA, "n": len(lines), "chance": CHANCE, "maps": rows}
    return {**document, "says": [_say(row) for row in rows]}


def write_faith(lines: Sequence[dict[str, Any]], path: Path) -> dict[str, Any]:
    """Counts and writes ``faithfulness.json``."""
    document = faith(lines)
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return document


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def _say(row: dict[str, Any]) -> str:
    share = f"{100 * row['better']:.0f} % ({100 * row['low']:.0f} to {100 * row['high']:.0f})"
    line = f"{row['name']}: better than random by both curves on {share} of {row['n']} clips"
    return f"{line}, no better than chance." if row["low"] <= CHANCE else f"{line}."
