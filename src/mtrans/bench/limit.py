"""What bounds a training step: its operations against a large matrix product, its parts, its data.

training step / its operations as one large product     how far from the device's limit
two tables of its time: by part of the model, forward and backward; by torch's operators
step compiled / step        where that is asked for
foretold (see :mod:`.foretell`) beside measured
features read from the cache against the disk
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mtrans.bench.apart import run_apart
from mtrans.bench.foretell import Foretold, foretell
from mtrans.bench.profile import OperatorTime, PartTime, profile_step
from mtrans.bench.reading import Reading, read_features
from mtrans.bench.side_by_side import Ratio, ratio, take_turns, write_result
from mtrans.bench.step import Measured, Step, StepCase, measure_step, time_steps, wait
from mtrans.core.runtime import pick_device
from mtrans.data.forms import FORMS
from mtrans.models.flops import count_flops

STEP, PRODUCT = "training step", "its operations as one product"
COMPILED = "training step, compiled"
SIDE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the large product."""


@dataclass(frozen=True)
class Rate:
    """A step against the device's limit.

    Attributes:
        operations: Counted products of a step, forward and backward.
        seconds: Of a step, the fastest.
        product_rate: Operations a second of the large product, the fastest.
        dtype: Of the product: that of the step's arithmetic.
        ratio: Step over product, round by round.
        parts: Where the step's time goes, by part of the model
        operators: and by torch's operators.
        vision: Seconds in which the ViT encodes the step's frames, for the cache.
    """

    operations: float
    seconds: float
    product_rate: float
    dtype: str
    ratio: Ratio
    parts: list[PartTime]
    operators: list[OperatorTime]
    vision: float

    @property
    def step_rate(self) -> float:
        """Operations a second of the step."""
        return self.operations / self.seconds


def measure_rate(case: StepCase, rounds: int, seconds: float) -> Rate:
    """Times a step and a large product in turns, then profiles the step; in a fresh process."""
    device = pick_device(case.settings.device)
    step = Step(case, device)
    with torch.autocast(device.type, torch.bfloat16, enabled=step.bf16):
        counted = count_flops(step.model, step.batch, backward=True)
    operations = counted["all"] + counted["backward"]
    dtype = torch.bfloat16 if step.bf16 else torch.float32
    side = SIDE.get(device.type, 2048)
    a = torch.randn(side, side, device=device, dtype=dtype)
    whole = 2.0 * side**3

    def product() -> float:
        taken = time_steps(lambda: a @ a, device, seconds=seconds)
        return min(taken) * operations / whole

    def one_step() -> float:
        return min(time_steps(step.run, device, seconds=seconds))

    taken = take_turns({STEP: one_step, PRODUCT: product}, rounds)
    quickest = min(taken[STEP])
    profile = profile_step(step, quickest)
    frames = case.frames * case.batch
    step.encode(frames)
    wait(device)
    began = time.perf_counter()
    step.encode(frames)
    wait(device)
    vision = time.perf_counter() - began
    return Rate(
        operations=operations,
        seconds=quickest,
        product_rate=operations / min(taken[PRODUCT]),
        dtype=str(dtype).removeprefix("torch."),
        ratio=ratio(taken, STEP, PRODUCT),
        parts=profile.parts,
        operators=profile.operators,
        vision=vision,
    )


@dataclass(frozen=True)
class Compiled:
    """What torch.compile makes of a step.

    Attributes:
        build: Seconds until the second step was done, with nothing built before.
        seconds: Of a step, the fastest.
        ratio: Compiled over not compiled, round by round.
    """

    build: float
    seconds: float
    ratio: Ratio


def measure_compiled(case: StepCase, rounds: int, seconds: float) -> Compiled:
    """Times a compiled step and a plain one in turns; in a fresh process."""
    device = pick_device(case.settings.device)

    def step_of(compiled: bool) -> Step:
        train = replace(case.settings.train, compile=compiled)
        return Step(replace(case, settings=replace(case.settings, train=train)), device)

    plain, made = step_of(False), step_of(True)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        began = time.perf_counter()
        for _ in range(2):
            made.run()
        wait(device)
        build = time.perf_counter() - began

        def quickest(step: Step) -> Callable[[], float]:
            return lambda: min(time_steps(step.run, device, seconds=seconds))

        taken = take_turns({COMPILED: quickest(made), STEP: quickest(plain)}, rounds)
    return Compiled(build, min(taken[COMPILED]), ratio(taken, COMPILED, STEP))


@dataclass(frozen=True)
class Limit:
    """What :func:`bench_limit` found.

    Attributes:
        rate: The step against the large product, and its parts.
        foretold: The step as it was foretold.
        measured: The same step run.
        readings: Reading the cache, by form.
        compiled: The step compiled, where that was asked for.
    """

    rate: Rate
    foretold: Foretold
    measured: Measured
    readings: list[Reading]
    compiled: Compiled | None


def bench_limit(
    out: Path,
    case: StepCase,
    *,
    name: str,
    rounds: int = 3,
    seconds: float = 1.0,
    cache_bytes: int = 256 << 20,
    with_compile: bool = False,
    said: Callable[[str], None] = lambda _: None,
) -> Limit:
    """Measures what bounds a training step.

    Args:
        out: Folder of features and of the result, ``limit.json``; features are removed.
        case: The step.
        name: What the model is called.
        rounds: Turns of step and product.
        seconds: Time given to each measurement, warming up left out.
        cache_bytes: Bytes of features written in each form.
        with_compile: Also have the step compiled.
        said: Called with a line of progress.

    Returns:
        The figures.
    """
    said("step and large product, in turns; profile")
    rate = run_apart(measure_rate, case, rounds, seconds)
    said("the step foretold, and measured")
    foretold = foretell(case, seconds=seconds)
    measured = run_apart(measure_step, case, seconds=seconds)
    compiled = None
    if with_compile:
        said("the step compiled")
        compiled = run_apart(measure_compiled, case, rounds, seconds)
    said("reading the cache")
    readings = run_apart(_read_all, out / "features", case, cache_bytes)
    found = Limit(rate, foretold, measured, readings, compiled)
    record = {"backbone": name, "frames": case.frames, "batch": case.batch, "text": case.text}
    write_result(out / "limit.json", "limit", {**record, **asdict(found)})
    return found


def _read_all(folder: Path, case: StepCase, size: int) -> list[Reading]:
    vision = case.config.vision_config
    shape = (case.frames, (vision.image_size // vision.patch_size) ** 2 + 1, vision.hidden_size)
    found = []
    for form in FORMS:
        shutil.rmtree(folder / form, ignore_errors=True)
        found.append(read_features(folder / form, shape, form, size=size, batch=case.batch))
        shutil.rmtree(folder / form)
    return found
