"""What DAR's routers do: entropy over training, shares of masks by type, agreement of seeds, drift.

    log.jsonl of each run      -> entropy of alpha by layer over training, drift
    a forward pass on the test -> mean alpha by question type; how alike two seeds choose

Entropy is in nats: 0 is one mask alone, log M all alike. A run starts on the unbounded mask.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrans.core.files import read_jsonl, write_text
from mtrans.core.records import Sample
from mtrans.core.settings import ModelSettings
from mtrans.study.collect import choose
from mtrans.study.jobs import StudyError, measurable
from mtrans.study.plan import StudyPlan, Variant
from mtrans.train.run_folder import RunFolder

PER_TYPE = 100
"""Test questions of each type that are looked at."""

SPATIAL = ("all", "within a modality", "across modalities")


@dataclass(frozen=True)
class LayerFound:
    """One router, over the seeds of a contender.

    Attributes:
        family: ``temporal`` or ``spatial``.
        layer: From 1.
        masks: Their names.
        shares: Question type -> mean probability of each mask, over seeds.
        seeds: Mean probability of each mask by seed.
        agreement: 1 minus the total variation distance of two seeds' probabilities for the same
            question, averaged over questions and pairs; None for one seed. 1: they route alike.
        varies: Standard deviation over questions of the unbounded mask's probability, mean over
            seeds: near 0, the router does not look at the question or the clip.
    """

    family: str
    layer: int
    masks: list[str]
    shares: dict[str, list[float]]
    seeds: dict[int, list[float]]
    agreement: float | None
    varies: float


@dataclass(frozen=True)
class RoutingFound:
    """A contender's routers.

    Attributes:
        contender: Its label.
        questions: Test questions looked at.
        layers: Its routers.
        steps: Logged steps of training.
        entropy: By seed float[steps, routers], in nats, in the order of the model's modules.
        drift: By seed: largest change of a router's entropy over the last quarter of training.
    """

    contender: str
    questions: int
    layers: list[LayerFound]
    steps: list[int]
    entropy: dict[int, list[list[float]]]
    drift: dict[int, float] = field(default_factory=dict)


def study_routing(plan: StudyPlan, folder: Path, per_type: int = PER_TYPE) -> list[RoutingFound]:
    """Looks at the routers of all finished runs that have some.

    Args:
        plan: The study.
        folder: Its folder.
        per_type: Test questions of each type.

    Raises:
        StudyError: No finished run has a router.
    """
    found = []
    for variant in plan.variants():
        chosen = choose(plan, variant, folder)[0]
        runs = {}
        for seed in plan.seeds if chosen is not None else ():
            run = RunFolder(folder / plan.job(variant, chosen or {}, seed, folder).name)
            if measurable(run) and _routed(run.settings().model):
                runs[seed] = run
        if runs:
            found.append(_contender(plan, variant, runs, folder, per_type))
    if not found:
        raise StudyError(f"'{folder}' has no finished run with a router (model.routing)")
    return found


def _routed(model: ModelSettings) -> bool:
    return model.connector == "mqt" and model.routing != "off" and model.vision


def _contender(
    plan: StudyPlan, variant: Variant, runs: Mapping[int, RunFolder], folder: Path, per_type: int
) -> RoutingFound:
    from mtrans.infer.predictor import load_predictor
    from mtrans.infer.routes import routes

    chosen = choose(plan, variant, folder)[0] or {}
    samples = _some(plan.job(variant, chosen, plan.seeds[0], folder).split("test"), per_type)
    by_seed = {seed: routes(load_predictor(run.path), samples) for seed, run in runs.items()}
    types = [s.type or "none" for s in samples]
    model = next(iter(runs.values())).settings().model
    layers = [
        layer_found(*key, {s: r[key] for s, r in by_seed.items()}, types, model)
        for key in next(iter(by_seed.values()))
    ]
    logs = {seed: _entropies(run) for seed, run in runs.items()}
    steps, entropy = next(iter(logs.values()))[0], {seed: e for seed, (_, e) in logs.items()}
    drift = {seed: _drift(values) for seed, values in entropy.items()}
    return RoutingFound(variant.label, len(samples), layers, steps, entropy, drift)


def layer_found(
    family: str,
    layer: int,
    by_seed: Mapping[int, NDArray[np.float64]],
    types: Sequence[str],
    model: ModelSettings,
) -> LayerFound:
    """Measures one router.

    Args:
        family: ``temporal`` or ``spatial``.
        layer: From 1.
        by_seed: Seed -> float[n, M] on the same questions.
        types: Types of the n questions.
        model: What the masks are.
    """
    pairs = itertools.combinations(by_seed.values(), 2)
    apart = [0.5 * np.abs(a - b).sum(axis=1).mean() for a, b in pairs]
    mean = np.mean(list(by_seed.values()), axis=0)
    kinds = np.array(types)
    names = list(SPATIAL)
    if family == "temporal":
        names = ["all frames", *(_near(r) for r in model.temporal_radii)]
    return LayerFound(
        family=family,
        layer=layer,
        masks=names[: mean.shape[1]],
        shares={t: mean[kinds == t].mean(axis=0).tolist() for t in sorted(set(types))},
        seeds={seed: alpha.mean(axis=0).tolist() for seed, alpha in by_seed.items()},
        agreement=1 - float(np.mean(apart)) if apart else None,
        varies=float(np.mean([alpha[:, 0].std() for alpha in by_seed.values()])),
    )


def _near(radius: int) -> str:
    return "own frame" if radius == 0 else f"{radius} frame{'s' if radius > 1 else ''} around"


def _some(samples: Sequence[Sample], per_type: int) -> list[Sample]:
    """Takes the first so many questions of each type."""
    taken: dict[str | None, int] = {}
    kept = []
    for s in samples:
        if taken.setdefault(s.type, 0) < per_type:
            taken[s.type] += 1
            kept.append(s)
    return kept


def _entropies(run: RunFolder) -> tuple[list[int], list[list[float]]]:
    lines = [line for line in read_jsonl(run.log_file) if line.get("routing_entropy")]
    return [line["step"] for line in lines], [line["routing_entropy"] for line in lines]


def _drift(values: Sequence[Sequence[float]]) -> float:
    late = np.array(values[3 * len(values) // 4 :])
    return float((late.max(axis=0) - late.min(axis=0)).max()) if len(late) else 0.0


def routing_markdown(found: Sequence[RoutingFound]) -> str:
    """Returns the tables: each router's shares by type, agreement of seeds, entropy, drift."""
    lines = [
        "### routing",
        "",
        "Mean probability of each mask in %, over seeds, by type of question. Agreement: 1 minus"
        " the total variation distance of two seeds on the same question. Varies: standard"
        " deviation of the first mask's probability over questions, in points. Entropy is in nats,"
        " at the first and the last logged step, mean over seeds, routers in the model's order;"
        " drift is the largest change of a router's entropy in the last quarter of training.",
        "",
    ]
    for one in found:
        names = list(one.layers[0].shares) if one.layers else []
        lines += [f"#### {one.contender} ({one.questions} questions)", ""]
        heads = ["router", "mask", *names, "by seed", "agreement", "varies"]
        lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for layer in one.layers:
            for place, mask in enumerate(layer.masks):
                shares = [f"{100 * layer.shares[t][place]:.0f}" for t in names]
                seeds = ", ".join(f"{100 * a[place]:.0f}" for a in layer.seeds.values())
                ends = ["", ""]
                if place == 0:
                    agree = "" if layer.agreement is None else f"{layer.agreement:.2f}"
                    ends = [agree, f"{100 * layer.varies:.1f}"]
                head = f"{layer.family} {layer.layer}" if place == 0 else ""
                lines.append(f"| {' | '.join([head, mask, *shares, seeds, *ends])} |")
        lines += ["", _entropy_words(one), ""]
    return "\n".join(lines)


def _entropy_words(one: RoutingFound) -> str:
    values = [v for v in one.entropy.values() if v]
    if not values:
        return "No entropy was logged."
    first, last = (np.mean([v[i] for v in values], axis=0) for i in (0, -1))
    told = ", ".join(f"{a:.2f} -> {b:.2f}" for a, b in zip(first, last, strict=True))
    drift = ", ".join(f"{d:.2f}" for d in one.drift.values())
    return f"Entropy of the routers over training: {told}. Drift, by seed: {drift}."


def write_routing(found: Sequence[RoutingFound], place: Path) -> None:
    """Writes routing.json, routing.md and routing.csv (entropy over training) into a folder."""
    document: list[dict[str, Any]] = [asdict(one) for one in found]
    write_text(place / "routing.json", json.dumps(document, indent=1) + "\n")
    write_text(place / "routing.md", routing_markdown(found))
    lines = ["contender,seed,step,router,entropy"]
    for one in found:
        for seed, values in one.entropy.items():
            for step, row in zip(one.steps, values, strict=False):
                lines += [f'"{one.contender}",{seed},{step},{i},{v}' for i, v in enumerate(row, 1)]
    write_text(place / "routing.csv", "\n".join(lines) + "\n")
