"""The page of `mtrans explain`: one answer, its frames with heat maps, its words and its routes.

Values come in plain: this folder knows neither models nor torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from mtrans.report.build import fill, write_page
from mtrans.report.frames import Picture, to_picture
from mtrans.report.plots import Series, line_chart

HEAT = (235, 80, 10)
"""Colour of what matters."""

HEIGHT = 112
"""Frames are shown at least this high, so that a map of a small clip can be seen."""

WORDS = 12
"""Words listed at most."""


def write_explanation(
    path: Path, given: Mapping[str, Any], pixels: NDArray[np.uint8], radii: Sequence[int]
) -> Path:
    """Writes the page.

    Args:
        path: The HTML file.
        given: The fields of an explanation, by name.
        pixels: uint8[T, H, W, 3] frames as decoded.
        radii: Of the temporal masks beside the unbounded one.

    Returns:
        The path.

    Raises:
        CheckpointError: It can't be written.
    """
    times = given["times"]
    maps = [
        {
            "name": one.name,
            "about": one.about,
            "strip": _strip(pixels, times, one.cells),
            "says": one.faith["says"],
            "charts": [_curve(kind, one.faith[kind]) for kind in ("deletion", "insertion")],
        }
        for one in given["maps"]
    ]
    frames = sorted(zip(times, given["frames"], strict=True), key=lambda row: -abs(row[1]))
    names = ["all", *(f"within {r}" for r in radii)]
    html = fill(
        "explain.html.j2",
        {
            "p": given["prediction"],
            "score": given["score"],
            "seen": _strip(pixels, times, None),
            "frames": [(float(t), float(lost)) for t, lost in frames],
            "words": given["words"][:WORDS],
            "maps": maps,
            "temporal": [_square(m) for m in given["temporal"]],
            "routes": _routes(given["routing"], names),
            "notes": given["notes"],
        },
    )
    write_page(path, html)
    return path


def _strip(
    pixels: NDArray[np.uint8], times: NDArray[np.float64], cells: NDArray[np.float64] | None
) -> list[Picture]:
    """Draws the frames, with what matters in colour; one scale for the whole clip."""
    height, width = pixels.shape[1:3]
    scale = max(1, -(-HEIGHT // height))
    size = (width * scale, height * scale)
    heat = None
    if cells is not None:
        top = float(np.maximum(cells, 0).max())
        heat = np.maximum(cells, 0) / top if top > 0 else np.zeros_like(cells)
    pictures = []
    for t, frame in enumerate(pixels):
        made = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.NEAREST), np.float32)
        if heat is not None:
            small = Image.fromarray(heat[t].astype(np.float32))
            alpha = 0.75 * np.asarray(small.resize(size, Image.Resampling.NEAREST))[..., None]
            grey = made.mean(axis=-1, keepdims=True) * 0.6 + made * 0.4
            made = grey * (1 - alpha) + np.array(HEAT, np.float32) * alpha
        pictures.append(to_picture(np.clip(made, 0, 255).astype(np.uint8), float(times[t])))
    return pictures


def _curve(kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
    title = {"deletion": "Cells hidden", "insertion": "Cells shown"}[kind]
    lines = [
        Series("by this map", found["x"], found["curve"], mark="all"),
        Series("at random", found["x"], found["random"], low=found["low"], high=found["high"]),
    ]
    svg = line_chart(lines, title=title, percent=True, unit="share of cells")
    return {"title": f"{title}, most important first", "svg": svg, "names": [s.name for s in lines]}


def _square(weights: NDArray[np.float64]) -> Markup:
    """Draws float[T, T] attention between frames, rows looking at columns."""
    count = len(weights)
    side = max(6, min(24, 160 // count))
    top = float(weights.max()) or 1.0
    cells = [
        f'<rect x="{s * side}" y="{t * side}" width="{side - 1}" height="{side - 1}"'
        f' fill="var(--s0)" opacity="{weights[t, s] / top:.2f}"><title>frame {t + 1} looks at frame'
        f" {s + 1}: {100 * weights[t, s]:.0f} %</title></rect>"
        for t in range(count)
        for s in range(count)
    ]
    size = count * side
    return Markup(
        f'<svg viewBox="0 0 {size} {size}" width="{size}" role="img"'
        f' aria-label="attention between {count} frames">{"".join(cells)}</svg>'
    )


def _routes(routing: Sequence[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Draws each layer's routing probabilities as a bar of parts."""
    rows = []
    for layer, (temporal, spatial, gate) in enumerate(routing, 1):
        families = {
            "over time": (temporal, names),
            "over tokens": (spatial, ("all", "within a modality", "across modalities")),
        }
        for family, (shares, called) in families.items():
            if shares is not None:
                rows.append(
                    {"layer": layer, "family": family, "gate": gate, "svg": _bar(shares, called)}
                )
    return rows


def _bar(shares: NDArray[np.float64], names: Sequence[str]) -> Markup:
    parts, at = [], 0.0
    for i, (share, name) in enumerate(zip(shares, names, strict=False)):
        width = 300 * float(share)
        parts.append(
            f'<rect x="{at:.1f}" y="2" width="{width:.1f}" height="14" fill="var(--s{i % 6})">'
            f"<title>{name}: {100 * share:.0f} %</title></rect>"
        )
        at += width
    said = ", ".join(f"{n} {100 * s:.0f} %" for n, s in zip(names, shares, strict=False))
    return Markup(
        f'<svg viewBox="0 0 300 18" width="300" role="img" aria-label="{said}">{"".join(parts)}'
        f'</svg><span class="sub">{said}</span>'
    )
