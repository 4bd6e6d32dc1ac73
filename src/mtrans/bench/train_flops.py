"""Operations of a training step of both sides, counted: what the ratio of their times could be.

Ours by the formula that torch's counter confirms (:mod:`mtrans.measure.cost`); the peer's by that
counter itself at one, two and three frames. Its operations are a polynomial of second degree in the
frames (each frame's own, and pairs of places in the LLM), so these three give any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode

from mtrans.bench.peer import IGNORED, build_peer, quiet_peft
from mtrans.bench.sizes import config_of
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.measure.cost import flops
from mtrans.models.lora import target_pattern

WORDS, ANSWER = 12, 4
"""Tokens of the question and of the answer, about those of :mod:`mtrans.bench.clips`."""


def ours_training(size: str, frames: int, model: ModelSettings, lora: LoraSettings) -> float:
    """Returns the operations of a clip in a step of ours, from cached features.

    Args:
        size: One of `bench.sizes.SIZES`.
        frames: Frames of the clip.
        model: The switches.
        lora: The low-rank pairs.
    """
    config = config_of(size)
    sizes = {"frames": frames, "words": WORDS, "prompt": WORDS, "answer": ANSWER}
    return flops(config, model, lora, **sizes).training


def ours_answering(size: str, frames: int, model: ModelSettings) -> tuple[float, float]:
    """Returns the operations of reading clip and question once: all, and without the ViT."""
    config = config_of(size)
    made = flops(config, model, None, frames=frames, words=WORDS, prompt=WORDS, answer=1)
    return made.answering, made.answering - made.forward["vit"]


def peer_flops(
    size: str, frames: int, lora: LoraSettings | None, *, device: torch.device | str = "cpu"
) -> float:
    """Counts what the peer does for a clip.

    Args:
        size: One of `bench.sizes.SIZES`.
        frames: Frames of the clip.
        lora: Pairs that are trained, forward and backward; None reads clip and question once.
        device: Where a few frames are run to be counted.

    Returns:
        Operations.
    """
    config = config_of(size)
    with torch.device(device):
        model: Any = build_peer(config)
    model.requires_grad_(False).eval()
    if lora is not None:
        pairs = LoraConfig(r=lora.rank, target_modules=target_pattern(lora))
        with quiet_peft():
            model = get_peft_model(model, pairs)
    return beyond([_counted(model, config, n, device, lora is not None) for n in (1, 2, 3)], frames)


def beyond(first: Sequence[float], place: int) -> float:
    """Returns the value at a place of the second-degree polynomial with these at 1, 2, 3."""
    step, bend = first[1] - first[0], first[2] - 2 * first[1] + first[0]
    n = place - 1
    return first[0] + n * step + n * (n - 1) / 2 * bend


def _counted(
    model: Any, config: Any, frames: int, device: torch.device | str, training: bool
) -> float:
    batch = _batch(config, frames, device, answer=ANSWER if training else 0)
    with FlopCounterMode(display=False) as counter:
        with torch.set_grad_enabled(training):
            out = model(**batch)
        if training:
            out.loss.backward()
    return float(counter.get_total_flops())


def _batch(
    config: Any, frames: int, device: torch.device | str, *, answer: int
) -> dict[str, torch.Tensor]:
    side = config.vision_config.image_size
    places = config.num_query_tokens * frames
    ids = torch.full((1, places + WORDS + answer), 5, device=device)
    ids[:, :places] = config.image_token_index
    words = torch.full((1, WORDS), 5, device=device)
    batch = {
        "pixel_values": torch.zeros(1, frames, 3, side, side, device=device),
        "qformer_input_ids": words,
        "qformer_attention_mask": torch.ones_like(words),
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
    }
    if answer:
        labels = ids.clone()
        labels[:, : places + WORDS] = IGNORED
        batch["labels"] = labels
    return batch
