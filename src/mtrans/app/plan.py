"""`mtrans doctor --plan`: what a training will take before anything is downloaded or run.

Memory is counted (:mod:`mtrans.bench.footprint`), time is foretold from small models of the same
widths that run here for some seconds (:mod:`mtrans.bench.foretell`); held beside measurements by
`mtrans bench limit`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mtrans.app import output
from mtrans.app.sizes import count, weights_bytes
from mtrans.core.settings import RunSettings
from mtrans.data.forms import FORMS, stored_bytes

if TYPE_CHECKING:
    from mtrans.bench.footprint import Footprint
    from mtrans.bench.foretell import Foretold
    from mtrans.bench.step import StepCase

CLIPS = 1000
QUANTISED = {"8bit": "8 bit", "4bit": "4 bit"}


@dataclass(frozen=True)
class Plan:
    """What a training will take.

    Attributes:
        case: The step.
        device: Where it would run, in words.
        memory: Bytes of the step's tensors.
        process: Bytes of the process around them; 0 where that is not on the device.
        free: Bytes free on the device; 0 where it is not here.
        cache: Bytes of the features of 1,000 clips, by form.
        form: The form that the settings choose.
        step: Seconds of a step; None where the device is not here.
        vision: Seconds in which the ViT encodes a clip; None as `step`.
    """

    case: StepCase
    device: str
    memory: Footprint
    process: int
    free: float
    cache: dict[str, int]
    form: str
    step: float | None
    vision: float | None

    @property
    def total(self) -> int:
        """Bytes of everything in memory."""
        return self.memory.total + self.process


def make_plan(case: StepCase, *, timed: bool = True) -> Plan:
    """Foretells a training.

    Args:
        case: The step; its `settings.device` may name a device that is not here.
        timed: Foretell time too, which runs small models for some seconds.

    Returns:
        The plan.

    Raises:
        SettingsError: The device is none that torch knows.
    """
    import torch

    from mtrans.app.doctor import device_memory
    from mtrans.bench.footprint import footprint
    from mtrans.bench.foretell import foretell
    from mtrans.core.errors import SettingsError
    from mtrans.core.runtime import pick_device

    name = case.settings.device
    try:
        device, here = pick_device(name), True
    except SettingsError:
        if name.partition(":")[0] != "cuda":
            raise
        device, here = torch.device("cuda"), False
        case = replace(case, settings=_in_bf16(case.settings))
    told: Foretold | None = foretell(case) if here and timed else None
    memory = told.memory if told else footprint(case, device)
    memory = _quantised(memory, case)
    vision = case.config.vision_config
    shape = (case.frames, (vision.image_size // vision.patch_size) ** 2 + 1, vision.hidden_size)
    chosen = case.settings.cache_dtype
    return Plan(
        case=case,
        device=str(device) if here else f"{device} (not here: an upper bound)",
        memory=memory,
        process=told.process if told else 0,
        free=device_memory(device)[1] if here else 0.0,
        cache={form: CLIPS * stored_bytes(shape, form) for form in FORMS},
        form=_same(case, device) if chosen == "same" else chosen,
        step=told.step if told else None,
        vision=told.vision if told else None,
    )


def _in_bf16(settings: RunSettings) -> RunSettings:
    """Writes out what ``auto`` means on a GPU of today."""
    train = settings.train
    if train.precision == "auto":
        train = replace(train, precision="bf16")
    dtype = "bf16" if settings.dtype == "auto" else settings.dtype
    return replace(settings, train=train, dtype=dtype)


def _same(case: StepCase, device: Any) -> str:
    """Returns the form in which features lie as the ViT gives them."""
    import torch

    from mtrans.bench.step import kept

    weights = kept(case, device)
    return "bfloat16" if weights.mixed or weights.dtype == torch.bfloat16 else "float32"


def _quantised(memory: Footprint, case: StepCase) -> Footprint:
    """Puts the frozen LLM's bytes in 8 or 4 bit into a footprint."""
    if case.settings.quantize not in QUANTISED:
        return memory
    sizes = weights_bytes(*count(case.config))
    weights = int(sizes[QUANTISED[case.settings.quantize]])
    return replace(memory, weights=weights, loading=weights)


def show_plan(plan: Plan, backbone: str) -> None:
    """Prints a plan."""
    case, memory = plan.case, plan.memory
    title = f"{backbone}, {case.batch} clips of {case.frames} frames, {case.text} text tokens"
    made = output.table("memory", plan.device, title=title)
    rows = {
        "frozen weights": memory.weights,
        "trained, gradients, AdamW": memory.trained,
        "batch of features": memory.batch,
        "activations": memory.activations,
    }
    for name, size in rows.items():
        made.add_row(name, output.size(size))
    if memory.loading != memory.weights:
        made.add_row("before: weights as loaded", output.size(memory.loading))
    if plan.process:
        made.add_row("the process itself", output.size(plan.process))
    made.add_row("at most", output.size(plan.total))
    output.console().print(made)
    if plan.free:
        fits = "fits" if plan.total < plan.free else "does NOT fit"
        print(f"{fits}: {output.size(plan.free)} are free")
    disk = ", ".join(f"{output.size(size)} as {form}" for form, size in plan.cache.items())
    print(f"feature cache of {CLIPS:,} clips: {disk}; the settings say {plan.form}")
    if plan.step is None or plan.vision is None:
        print("time: not foretold; it is measured on the device itself, with small models")
        return
    steps = -(-CLIPS // case.batch)
    epoch, vision = _time(steps * plan.step), _time(CLIPS * plan.vision)
    print(f"a step: {1000 * plan.step:.1f} ms; an epoch of {CLIPS:,} clips: {epoch}")
    print(f"the ViT, once for {CLIPS:,} clips: {vision}; decoding the videos comes on top")


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def plan_case(
    backbone: str, frames: int, batch: int, text: int, device: str | None, overrides: list[str]
) -> StepCase:
    """Returns the step that options mean.

    Raises:
        SettingsError: A setting is wrong.
        CheckpointError: There is no such backbone.
    """
    from mtrans.bench.step import StepCase
    from mtrans.core.settings import load_settings

    values: dict[str, Any] = {"frames.count": frames, "train.batch_size": batch}
    if device is not None:
        values["device"] = device
    settings = load_settings(values=values, overrides=overrides)
    return StepCase(backbone_config(backbone), settings, batch=batch, text=text)


def backbone_config(backbone: str) -> Any:
    """Returns the config of a benchmark's size, a published checkpoint, `tiny` or a folder."""
    from mtrans.app.commands_cost import config_of
    from mtrans.bench import sizes

    config: Any = sizes.config_of(backbone) if backbone in sizes.SIZES else config_of(backbone)
    if config.image_token_index is None:  # the first published revisions name none
        config.image_token_index = config.text_config.vocab_size - 1
    return config
