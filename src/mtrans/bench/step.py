"""A training step of a model of given sizes, without data: what is timed, counted and profiled.

The step is that of `adapt`: forward, loss over the answer, backward, clipping, AdamW. The ViT's
features are there, as from the cache. Weights are random and so are features; neither time nor
memory depends on what they are.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from mtrans.core.memory import keep_freed_memory, memory_of_process
from mtrans.core.runtime import Kept, has_fast_bf16, pick_device, pick_kept, seed_everything
from mtrans.core.settings import RunSettings
from mtrans.models.loading import FAMILIES
from mtrans.models.lora import attach_adapter
from mtrans.models.mixed import hold_matrices
from mtrans.train.arguments import parameter_groups
from mtrans.train.diagnostics import is_position


@dataclass(frozen=True)
class StepCase:
    """A step.

    Attributes:
        config: InstructBLIP's or BLIP-2's configuration.
        settings: Frames, switches, LoRA, precision, device.
        batch: Clips in the step.
        text: Tokens of the question; in the Q-Former and in the LLM.
        answer: Tokens of the answer.
        layers: Layers of (ViT, Q-Former, LLM) in place of the config's; None leaves these.
    """

    config: Any
    settings: RunSettings = field(default_factory=RunSettings)
    batch: int = 4
    text: int = 32
    answer: int = 3
    layers: tuple[int, int, int] | None = None

    @property
    def frames(self) -> int:
        """Frames of a clip."""
        return self.settings.frames.count

    def with_frames(self, count: int) -> StepCase:
        """Returns the same step with another number of frames."""
        frames = replace(self.settings.frames, count=count)
        return replace(self, settings=replace(self.settings, frames=frames))

    def shape(self) -> Any:
        """Returns the configuration with the layers wanted."""
        if self.layers is None:
            return self.config
        config = copy.deepcopy(self.config)
        parts = (config.vision_config, config.qformer_config, config.text_config)
        for part, layers in zip(parts, self.layers, strict=True):
            part.num_hidden_layers = layers
        return config


@dataclass(frozen=True)
class Measured:
    """What steps took.

    Attributes:
        seconds: Each timed step's.
        peak: Highest memory in bytes: of the GPU's tensors, or of the process.
        before: As `peak`, before the model was built.
        kind: ``cuda`` or ``rss``.
        visual_tokens: Visual tokens that the LLM read of a clip.
    """

    seconds: tuple[float, ...]
    peak: int
    before: int
    kind: str
    visual_tokens: int

    @property
    def quick(self) -> float:
        """The fastest step: what the machine can when nothing else is on it."""
        return min(self.seconds)

    @property
    def added(self) -> int:
        """Bytes that model and step took."""
        return self.peak - self.before


class Step:
    """A model that can be trained a step at a time.

    Args:
        case: What is run.
        device: Where; None as the settings say.
        model: The model, where it is built already and on the device.
    """

    def __init__(self, case: StepCase, device: torch.device | None = None, model: Any = None):
        self.case = case
        keep_freed_memory()  # as `adapt`
        self.device = device or pick_device(case.settings.device)
        self.bf16 = uses_bf16(case.settings, self.device)
        self.model = build(case, self.device) if model is None else model
        if kept(case, self.device).mixed:
            hold_matrices(self.model)
        self.batch = make_batch(case, self.model, self.device)
        train = case.settings.train
        groups = parameter_groups(self.model, train, is_position)
        self.trained = [p for group in groups for p in group["params"]]
        fused = self.device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.AdamW(
            groups, lr=train.learning_rate, betas=train.betas, fused=fused
        )
        if train.compile and model is None:
            from mtrans.train.compiled import compile_layers

            compile_layers(self.model)

    def run(self) -> Tensor:
        """Trains a step; returns the loss."""
        loss = self.forward()
        loss.backward()
        self.update()
        return loss.detach()

    def forward(self) -> Tensor:
        """Returns the loss, with what is needed to go back from it."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss: Tensor = self.model(**self.batch).loss
        return loss

    def update(self) -> None:
        """Clips the gradients and changes what is trained."""
        torch.nn.utils.clip_grad_norm_(self.trained, self.case.settings.train.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def encode(self, frames: int) -> None:
        """Runs the ViT on so many frames, as filling the cache does."""
        side = self.case.config.vision_config.image_size
        pixels = torch.zeros(1, frames, 3, side, side, device=self.device, dtype=self.image_dtype)
        base(self.model).encode_frames(pixels)

    @property
    def image_dtype(self) -> torch.dtype:
        """Type of the ViT's weights."""
        return next(base(self.model).vision_model.parameters()).dtype


def base(model: Any) -> Any:
    """Returns the assembled model without the PEFT wrapper."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def uses_bf16(settings: RunSettings, device: torch.device) -> bool:
    """Whether `adapt` would train in bf16 autocast on a device."""
    precision = settings.train.precision
    return precision == "bf16" or (precision == "auto" and has_fast_bf16(device))


def kept(case: StepCase, device: torch.device) -> Kept:
    """Returns how `adapt` would keep frozen weights on a device."""
    return pick_kept(case.settings.dtype, device, precision=case.settings.train.precision)


def build(case: StepCase, device: torch.device, *, weightless: bool = False) -> Any:
    """Builds the model with random weights and a fresh adapter, as `adapt` has it when loaded.

    Args:
        case: What is run.
        device: Where it is trained.
        weightless: Build it on torch's meta device, which holds shapes and no numbers.
    """
    settings, config = case.settings, case.shape()
    seed_everything(0)
    family: Any = FAMILIES[config.model_type]
    usual = torch.get_default_dtype()
    try:
        torch.set_default_dtype(kept(case, device).dtype)
        with torch.device("meta" if weightless else device):
            model = family(config, settings=settings.model)
            if model.answers_itself:
                model.set_answers([[5], [6]])
    finally:
        torch.set_default_dtype(usual)
    model.requires_grad_(False)
    for module in model.connecting.modules():  # what is trained is fp32
        for name, value in module.named_parameters(recurse=False):
            if value.dtype != torch.float32:
                setattr(module, name, torch.nn.Parameter(value.float()))
    if device.type == "cpu":  # as mtrans.train.adapter
        model.language_model.set_attn_implementation("eager")
    with torch.device("meta" if weightless else device):
        made = attach_adapter(model, settings.lora)
    if settings.train.gradient_checkpointing:
        made.gradient_checkpointing_enable()
        made.enable_input_require_grads()
    return made.train()


def make_batch(case: StepCase, model: Any, device: torch.device) -> dict[str, Tensor]:
    """Makes a batch as the collator does, all rows full; the ViT's features are random."""
    plain, config = base(model), case.config
    vision = config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2 + 1
    clips, frames, text, answer = case.batch, case.frames, case.text, case.answer

    def words(count: int, vocabulary: int) -> Tensor:
        drawn = torch.randint(5, max(6, min(vocabulary, 500)), (clips, count), device=device)
        return drawn.masked_fill_(drawn == config.image_token_index, 5)  # a word, not a place

    llm = config.text_config.vocab_size
    visual = torch.full(
        (clips, plain.visual_tokens(frames)), config.image_token_index, device=device
    )
    said = torch.full((clips, answer), 5, device=device)
    decoder_only = plain.config.use_decoder_only_language_model
    ids = torch.cat([visual, words(text, llm), *([said] if decoder_only else [])], dim=1)
    hidden = torch.full((clips, ids.shape[1] - answer), -100, device=device)
    batch = {
        "frame_times": torch.arange(frames, device=device).float().repeat(clips, 1),
        "frame_mask": torch.ones(clips, frames, dtype=torch.bool, device=device),
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.cat([hidden, said], dim=1) if decoder_only else said,
    }
    if plain.needs_pixels:
        side = vision.image_size
        batch["pixel_values"] = torch.randn(clips, frames, 3, side, side, device=device)
    else:
        batch["patch_features"] = torch.randn(
            clips, frames, patches, vision.hidden_size, device=device
        )
    if config.model_type == "instructblip":
        batch["qformer_input_ids"] = words(text, config.qformer_config.vocab_size)
        batch["qformer_attention_mask"] = torch.ones(clips, text, dtype=torch.long, device=device)
    return batch


def time_steps(
    work: Callable[[], Any], device: torch.device, *, least: int = 3, seconds: float = 1.0
) -> tuple[float, ...]:
    """Times a piece of work again and again, after two rounds that warm up.

    Args:
        work: What is done.
        device: Where; a GPU is waited for.
        least: Timed rounds at least,
        seconds: and for so long at least.

    Returns:
        Seconds of each.
    """
    for _ in range(2):
        work()
    wait(device)
    taken: list[float] = []
    while len(taken) < least or (sum(taken) < seconds and len(taken) < 100):
        began = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - began)
    return tuple(taken)


def wait(device: torch.device) -> None:
    """Waits until a GPU is done; a CPU is."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_step(case: StepCase, *, least: int = 3, seconds: float = 1.0) -> Measured:
    """Builds a model and times its steps; peak memory is right in a fresh process only.

    Args:
        case: What is run.
        least: As :func:`time_steps`.
        seconds: As :func:`time_steps`.
    """
    device = pick_device(case.settings.device)
    before = memory_of_process()[0]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    step = Step(case, device)
    taken = time_steps(step.run, device, least=least, seconds=seconds)
    cuda = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(device) if cuda else memory_of_process()[1]
    tokens = base(step.model).visual_tokens(case.frames)
    return Measured(taken, peak, before, "cuda" if cuda else "rss", tokens)
