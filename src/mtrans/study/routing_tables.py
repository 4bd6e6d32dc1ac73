"""What DAR's routers do, as tables: Markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.core.files import write_text
from mtrans.study.routing_study import RoutingFound

MOMENTS = 5
"""Logged steps that the table shows; the picture has all."""


def routing_markdown(found: Sequence[RoutingFound]) -> str:
    """Returns the tables: shares of masks by type, agreement of seeds; entropy over training."""
    lines = [
        "### routing",
        "",
        "Mean probability of each mask in %, over seeds, by type of question. Agreement: 1 minus"
        " the total variation distance of two seeds on the same question. Varies: standard"
        " deviation of the first mask's probability over questions, in points. Entropy is in nats,"
        " mean over seeds (0: one mask alone); drift is its largest change in the last quarter of"
        " training, by seed.",
        "",
    ]
    for one in found:
        lines += [f"#### {one.contender} ({one.questions} questions)", ""]
        lines += [*_shares(one), "", *_entropy_table(one), ""]
    return "\n".join(lines)


def _shares(one: RoutingFound) -> list[str]:
    names = list(one.layers[0].shares) if one.layers else []
    heads = ["router", "mask", *names, "by seed", "agreement", "varies"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for layer in one.layers:
        for place, mask in enumerate(layer.masks):
            shares = [f"{100 * layer.shares[t][place]:.0f}" for t in names]
            seeds = ", ".join(f"{100 * a[place]:.0f}" for a in layer.seeds.values())
            head, ends = "", ["", ""]
            if place == 0:
                head = layer.name
                agree = "" if layer.agreement is None else f"{layer.agreement:.2f}"
                ends = [agree, f"{100 * layer.varies:.1f}"]
            lines.append(f"| {' | '.join([head, mask, *shares, seeds, *ends])} |")
    return lines


def _entropy_table(one: RoutingFound) -> list[str]:
    mean = one.mean_entropy
    if not len(mean):
        return ["No entropy was logged."]
    places = np.unique(np.linspace(0, len(mean) - 1, MOMENTS).astype(int))
    heads = ["entropy", *(f"step {one.steps[place]}" for place in places), "drift"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for i, name in enumerate(one.routers):
        over_time = [f"{mean[place, i]:.2f}" for place in places]
        drift = ", ".join(f"{by_router[i]:.2f}" for by_router in one.drift.values() if by_router)
        lines.append(f"| {' | '.join([name, *over_time, drift])} |")
    return lines


def write_routing(found: Sequence[RoutingFound], place: Path) -> None:
    """Writes routing.json, routing.md and routing.csv (entropy over training) into a folder."""
    document: list[dict[str, Any]] = [asdict(one) for one in found]
    write_text(place / "routing.json", json.dumps(document, indent=1) + "\n")
    write_text(place / "routing.md", routing_markdown(found))
    lines = ["contender,seed,step,router,entropy"]
    for one in found:
        for seed, values in one.entropy.items():
            for step, row in zip(one.steps, values, strict=False):
                named = zip(one.routers, row, strict=True)
                lines += [f'"{one.contender}",{seed},{step},{name},{v}' for name, v in named]
    write_text(place / "routing.csv", "\n".join(lines) + "\n")
