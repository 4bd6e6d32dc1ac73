"""Where a training step's time goes: forward and backward of each part, from torch's profiler.

    spatial, temporal, cross     attention of the Q-Former      connector   the rest of it
    projection, llm, other       from the Q-Former into the LLM, the LLM, embedding and loss

Forward counts by where it happens; backward of an operation counts where its forward was. The same
time again by torch's operators: what of it are products of matrices, and what is done around them.

The profiler slows small operations, so its times are taken as shares of an unprofiled step.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from mtrans.bench.step import Step, base
from mtrans.measure.cost import Flops, flops
from mtrans.models.st_qformer import SpatialTemporalLayer

LABEL = "part: "
BACKWARD = "autograd::engine::evaluate_function"
BETWEEN, AUTOGRAD = "Python between operators", "autograd between operators"
PRODUCTS = ("mm", "linear", "convolution", "dot_product")
"""Parts of the names of operators that multiply matrices; fused attention does."""

PARTS = ("spatial", "temporal", "cross", "connector", "projection", "llm", "other", "optimizer")


@dataclass(frozen=True)
class PartTime:
    """One part of a step.

    Attributes:
        part: One of :data:`PARTS`.
        forward: Seconds of a step.
        backward: Seconds of a step.
        operations: Products counted in both; None where there is no formula.
    """

    part: str
    forward: float
    backward: float
    operations: float | None

    @property
    def seconds(self) -> float:
        """Both together."""
        return self.forward + self.backward


@dataclass(frozen=True)
class OperatorTime:
    """One of torch's operators.

    Attributes:
        name: As torch calls it.
        seconds: Of a step, without other operators that it calls.
        calls: In a step.
        product: Whether it multiplies matrices.
    """

    name: str
    seconds: float
    calls: float
    product: bool


@dataclass(frozen=True)
class Profile:
    """Where a step's time goes.

    Attributes:
        parts: By part of the model, in the order of the data.
        operators: By operator, the longest first.
    """

    parts: list[PartTime]
    operators: list[OperatorTime]


def profile_step(step: Step, seconds: float, *, rounds: int = 3) -> Profile:
    """Profiles steps.

    Args:
        step: What is run; it should have run before.
        seconds: What a step takes unprofiled.
        rounds: Steps profiled.

    Returns:
        The step's time twice; seconds add up to `seconds` each time.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it tells of each start and stop otherwise
    cuda = step.device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with labelled(step), profile(activities=kinds) as seen:
        for _ in range(rounds):
            with record_function(LABEL + "other"):
                loss = step.forward()
            loss.backward()
            with record_function(LABEL + "optimizer"):
                step.update()
    # a GPU's own events say again what those of the operators that started them say
    events = [e for e in seen.events() or [] if e.device_type == DeviceType.CPU]
    taken = add_up(events, cuda=cuda)
    share = seconds / (sum(taken.values()) or 1.0)
    counted = operations(step)
    parts = [
        PartTime(part, share * taken[part, False], share * taken[part, True], counted.get(part))
        for part in PARTS
    ]
    by_name = sorted(by_operator(events, cuda=cuda).items(), key=lambda one: -one[1][0])
    operators = [
        OperatorTime(name, share * own, calls / rounds, any(p in name for p in PRODUCTS))
        for name, (own, calls) in by_name
        if own
    ]
    return Profile(parts, operators)


def by_operator(events: Any, *, cuda: bool) -> dict[str, tuple[float, int]]:
    """Sums the profiler's times over operators of the same name.

    Args:
        events: Of the profiler.
        cuda: Sum the GPU's time, not the CPU's.

    Returns:
        Name -> time in the profiler's unit, calls.
    """
    found: dict[str, tuple[float, int]] = {}
    for event in events:
        name = event.name.removeprefix("aten::")
        if name.startswith(LABEL):
            name = BETWEEN
        elif name.startswith((BACKWARD, "torch::autograd")) or "Backward" in name:
            name = AUTOGRAD
        own = event.self_device_time_total if cuda else event.self_cpu_time_total
        if cuda and name == BETWEEN:
            continue
        time, calls = found.get(name, (0.0, 0))
        found[name] = (time + own, calls + 1)
    return found


def add_up(events: Any, *, cuda: bool) -> dict[tuple[str, bool], float]:
    """Sums the profiler's times.

    Args:
        events: Of the profiler, each with its parent.
        cuda: Sum the GPU's time, not the CPU's.

    Returns:
        (part, whether backward) -> time in the profiler's unit.
    """
    ahead: dict[int, str] = {}
    for event in events:
        if event.sequence_nr >= 0 and _above(event, BACKWARD) is None:
            ahead.setdefault(event.sequence_nr, _part(event))
    taken: dict[tuple[str, bool], float] = defaultdict(float)
    for event in events:
        own = event.self_device_time_total if cuda else event.self_cpu_time_total
        if event.name.startswith(LABEL) or not own:
            continue
        node = _above(event, BACKWARD)
        if node is None:
            taken[_part(event), False] += own
        else:
            taken[ahead.get(node.sequence_nr, "other"), True] += own
    if not cuda:  # a label's own time is Python's between operations
        for event in events:
            if event.name.startswith(LABEL):
                taken[event.name.removeprefix(LABEL), False] += event.self_cpu_time_total
    return taken


def _above(event: Any, name: str) -> Any:
    while event is not None and not event.name.startswith(name):
        event = event.cpu_parent
    return event


def _part(event: Any) -> str:
    label = _above(event, LABEL)
    return "other" if label is None else str(label.name.removeprefix(LABEL))


@contextlib.contextmanager
def labelled(step: Step) -> Iterator[None]:
    """Puts labels around the parts of a model for a while."""
    model, undo = base(step.model), []
    for name in ("spatial", "temporal", "cross"):
        undo.append(_label_method(SpatialTemporalLayer, f"_{name}", name))
    whole = {
        "connector": model.connecting,
        "projection": model.language_projection,
        "llm": model.language_model.base_model,
    }
    for name, module in whole.items():
        undo += _label_module(module, name)
    try:
        yield
    finally:
        for back in undo:
            back()


def _label_method(cls: Any, name: str, part: str) -> Callable[[], None]:
    plain = getattr(cls, name)

    def labelled_method(*args: Any, **kwargs: Any) -> Any:
        with record_function(LABEL + part):
            return plain(*args, **kwargs)

    setattr(cls, name, labelled_method)
    return lambda: setattr(cls, name, plain)


def _label_module(module: torch.nn.Module, part: str) -> list[Callable[[], None]]:
    opened: list[Any] = []

    def before(*_: Any) -> None:
        opened.append(record_function(LABEL + part))
        opened[-1].__enter__()

    def after(*_: Any) -> None:
        opened.pop().__exit__(None, None, None)

    handles = (module.register_forward_pre_hook(before), module.register_forward_hook(after))
    return [handle.remove for handle in handles]


def operations(step: Step) -> dict[str, float]:
    """Returns the products counted in a step by part; empty where there is no formula."""
    case = step.case
    if case.settings.model.connector != "mqt":
        return {}
    told = {"words": case.text, "prompt": case.text, "answer": case.answer}
    config, lora = case.shape(), case.settings.lora
    made: Flops = flops(config, case.settings.model, lora, frames=case.frames, **told)
    names = {
        "spatial": ("spatial",),
        "temporal": ("temporal",),
        "cross": ("cross",),
        "connector": ("connector", "feed_forward"),
        "projection": ("projection",),
        "llm": ("llm_prompt", "llm_answer"),
    }
    return {
        part: case.batch * sum(made.forward[n] + made.backward[n] for n in of)
        for part, of in names.items()
    }
