"""What DAR's routers do: entropy over training, shares of masks by type, agreement of seeds, drift.

    log.jsonl of each run      -> entropy of alpha by layer over training, drift
    a forward pass on the test -> mean alpha by question type; how alike two seeds choose

Entropy is in nats: 0 is one mask alone, log M all alike. A run starts on the unbounded mask.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrans.core.files import read_jsonl
from mtrans.core.records import Sample
from mtrans.core.settings import ModelSettings, RunSettings
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

    @property
    def name(self) -> str:
        """Family and layer."""
        return f"{self.family} {self.layer}"


@dataclass(frozen=True)
class RoutingFound:
    """A contender's routers.

    Attributes:
        contender: Its label.
        questions: Test questions looked at.
        layers: Its routers, in the order of the model's modules.
        steps: Logged steps of training.
        entropy: By seed float[steps, routers], in nats.
        drift: By seed, each router's largest change of entropy over the last quarter of training.
    """

    contender: str
    questions: int
    layers: list[LayerFound]
    steps: list[int]
    entropy: dict[int, list[list[float]]]
    drift: dict[int, list[float]] = field(default_factory=dict)

    @property
    def routers(self) -> list[str]:
        """Names of the routers."""
        return [layer.name for layer in self.layers]

    @property
    def mean_entropy(self) -> NDArray[np.float64]:
        """float[steps, routers], over the seeds that logged the same steps."""
        alike = [v for v in self.entropy.values() if len(v) == len(self.steps)]
        return np.mean(alike, axis=0) if self.steps else np.empty((0, len(self.layers)))


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
            if measurable(run) and _routed(run.settings()):
                runs[seed] = run
        if runs:
            found.append(_contender(plan, variant, runs, folder, per_type))
    if not found:
        raise StudyError(f"'{folder}' has no finished run with a router (model.routing)")
    return found


def _routed(settings: RunSettings) -> bool:
    """Whether there is something to choose between; a single frame has no other to look at."""
    model = settings.model
    idle = ("off", "temporal") if settings.frames.count == 1 else ("off",)
    return model.connector == "mqt" and model.vision and model.routing not in idle


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
    # the log has each layer's spatial router before its temporal one
    keys = sorted(next(iter(by_seed.values())), key=lambda key: (key[1], key[0]))
    layers = [
        layer_found(*key, {s: r[key] for s, r in by_seed.items()}, types, model) for key in keys
    ]
    logs = {seed: _entropies(run) for seed, run in runs.items()}
    steps, entropy = next(iter(logs.values()))[0], {seed: e for seed, (_, e) in logs.items()}
    drift = {seed: _drift(values) for seed, values in entropy.items()}
    name = f"{variant.data.name}, {variant.label}" if len(plan.data) > 1 else variant.label
    return RoutingFound(name, len(samples), layers, steps, entropy, drift)


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


def _drift(values: Sequence[Sequence[float]]) -> list[float]:
    late = np.array(values[3 * len(values) // 4 :])
    return (late.max(axis=0) - late.min(axis=0)).tolist() if len(late) else []
