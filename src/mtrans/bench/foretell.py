"""What a training step will take, foretold from a model with the same widths and few layers.

Layers of one kind cost the same. So steps of two, three small models, at the frames, text and batch
wanted, tell what one layer more of the Q-Former and of the LLM costs, and the rest is a straight
line. Weights are random: nothing is downloaded. Memory is :mod:`.footprint`'s, plus the process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mtrans.bench.apart import run_apart
from mtrans.bench.footprint import Footprint, footprint
from mtrans.bench.step import Step, StepCase, time_steps
from mtrans.core.memory import memory_of_process
from mtrans.core.runtime import pick_device

FIRST = 3
"""Layers of the Q-Former in the smallest model: its first three differ in their masks."""

VIT_FRAMES = 4
"""Frames on which the ViT is timed."""


@dataclass(frozen=True)
class Foretold:
    """A step that was not run.

    Attributes:
        memory: Bytes of its tensors.
        process: Bytes of the process without them; 0 on a GPU, whose memory holds tensors alone.
        step: Seconds of a step.
        vision: Seconds in which the ViT encodes a clip for the cache.
    """

    memory: Footprint
    process: int
    step: float
    vision: float

    @property
    def total(self) -> int:
        """Bytes of everything."""
        return self.memory.total + self.process


@dataclass(frozen=True)
class _Probe:
    steps: tuple[float, ...]
    vision: tuple[float, float]
    process: int


def foretell(case: StepCase, *, seconds: float = 1.0) -> Foretold:
    """Foretells a step on a device that is here.

    Args:
        case: The step.
        seconds: Time given to each small model, warming up left out.

    Returns:
        Memory and time.

    Raises:
        BenchError: Even the small models don't fit.
    """
    device = pick_device(case.settings.device)
    memory = footprint(case, device)
    layers = probes(case.config)
    probe: _Probe = run_apart(_probe, case, layers, seconds)
    depth = _depth(case.config)
    small, *more = probe.steps
    step = small
    for part, taken, other in zip((1, 2), more, layers[1:], strict=True):
        reach = other[part] - layers[0][part]
        if reach:
            step += (depth[part] - layers[0][part]) / reach * (taken - small)
    few, many = probe.vision
    reach = vit_layers(depth) - 1
    per_layer = (many - few) / reach if reach else 0.0
    vision = case.frames / VIT_FRAMES * (few + (depth[0] - 1) * per_layer)
    return Foretold(memory, probe.process, max(step, small), max(vision, 0.0))


def vit_layers(depth: tuple[int, int, int]) -> int:
    """Layers of the larger ViT that is timed."""
    return min(depth[0], 3)


def probes(config: Any) -> list[tuple[int, int, int]]:
    """Returns the layers of the small models: the smallest, more Q-Former, more LLM."""
    depth = _depth(config)
    every = config.qformer_config.cross_attention_frequency
    first = (1, min(depth[1], FIRST), min(depth[2], 1))
    return [
        first,
        (1, min(depth[1], FIRST + 2 * every), first[2]),
        (vit_layers(depth), first[1], min(depth[2], 4)),
    ]


def _depth(config: Any) -> tuple[int, int, int]:
    parts = (config.vision_config, config.qformer_config, config.text_config)
    return tuple(int(p.num_hidden_layers) for p in parts)  # type: ignore[return-value]


def _probe(case: StepCase, layers: list[tuple[int, int, int]], seconds: float) -> _Probe:
    """Runs the small models; in a process of its own."""
    device = pick_device(case.settings.device)
    steps, vision, process = [], [], 0
    for number, depth in enumerate(layers):
        small = replace(case, layers=depth)
        step = Step(small, device)
        steps.append(min(time_steps(step.run, device, seconds=seconds)))
        if number == 0 and device.type == "cpu":
            # what is resident beyond the tensors: libraries, and what they keep
            process = max(0, memory_of_process()[1] - footprint(small, device).total)
        if number != 1:
            taken = time_steps(lambda s=step: s.encode(VIT_FRAMES), device, seconds=seconds / 3)  # type: ignore[misc]
            vision.append(min(taken))
        del step
    return _Probe(tuple(steps), (vision[0], vision[1]), process)
