"""Stage 2: the ViT of `tiny` learns stills from dense truth.

Every patch says which attributes lie under it (colours, shapes, parts of a face, foods, tools) and
in which row and column it is: without the latter the last layers forget where a patch was, and no
question on places can be answered later. That is far more signal a picture than one question. The
heads that read it are thrown away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mtrans.models.tiny.architecture import GRID, IMAGE_SIZE, MEAN, STD, WIDTH
from mtrans.models.tiny.steps import optimise


def to_pixels(pictures: np.ndarray) -> Tensor:
    """uint8[n, H, W, 3] -> normalised float32[n, 3, H, W], as the image processor does it."""
    scaled = torch.from_numpy(pictures).float() / 255
    return ((scaled - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


def train_vision(
    vit: Any,
    corpus: Any,
    *,
    seed: int,
    steps: int,
    batch: int,
    learning_rate: float,
    log: Path,
) -> dict[str, float]:
    """Trains the ViT in place.

    Args:
        vit: ``InstructBlipVisionModel``.
        corpus: Module with ``make_still(rng, kind, size=, grid=)``, ``KINDS``, ``ATTRIBUTES``.
        seed: Of the stills.
        steps: Optimizer steps.
        batch: Stills a step.
        learning_rate: Peak.
        log: JSONL file.

    Returns:
        F1 of the patch attributes on fresh stills.
    """
    rng = np.random.default_rng([seed, 3])
    attributes = len(corpus.ATTRIBUTES)
    patch_head = nn.Linear(WIDTH, attributes)
    image_head = nn.Linear(WIDTH, attributes + 6)
    place_head = nn.Linear(WIDTH, 2 * GRID)
    places = torch.cartesian_prod(torch.arange(GRID), torch.arange(GRID))

    def loss_of_step(_: int) -> tuple[Tensor, dict[str, float]]:
        pixels, patches, count = _batch(corpus, rng, batch)
        features = vit(pixel_values=pixels).last_hidden_state.float()
        on_patch = F.binary_cross_entropy_with_logits(
            patch_head(features[:, 1:]), patches, reduction="none"
        ).sum(-1)
        # a lit patch weighs more than the empty board around it
        on_patch = (on_patch * (1 + 3 * patches.amax(-1))).mean()
        whole = image_head(features[:, 0])
        on_image = F.binary_cross_entropy_with_logits(whole[:, :attributes], patches.amax(1))
        counting = F.cross_entropy(whole[:, attributes:], count)
        where = rearrange(
            place_head(features[:, 1:]),
            "b p (coordinate place) -> b place p coordinate",
            coordinate=2,
        )
        placing = F.cross_entropy(where, places.expand(len(where), -1, -1))
        losses = {"place": placing, "patch": on_patch, "image": on_image, "count": counting}
        figures = {name: float(value.detach()) for name, value in losses.items()}
        return on_patch + on_image + 0.2 * counting + 0.5 * placing, figures

    def check() -> dict[str, float]:
        fresh = np.random.default_rng([seed, 4])
        pixels, patches, _ = _batch(corpus, fresh, 300)
        with torch.no_grad():
            said = patch_head(vit(pixel_values=pixels).last_hidden_state[:, 1:]) > 0
        true = patches > 0.5
        hits = float((said & true).sum())
        return {"patch_f1": 2 * hits / float(said.sum() + true.sum())}

    heads = (patch_head, image_head, place_head)
    parameters = [p for module in (vit, *heads) for p in module.parameters()]
    optimise(
        parameters, loss_of_step, steps=steps, learning_rate=learning_rate, log=log,
        stage="vision", check=check, check_every=500,
    )  # fmt: skip
    return check()


def _batch(corpus: Any, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
    # shapes are the hardest of the three kinds, so they come most often
    kinds = rng.choice(corpus.KINDS, size=size, p=[0.6, 0.25, 0.15])
    stills = [corpus.make_still(rng, kind, size=IMAGE_SIZE, grid=GRID) for kind in kinds]
    patches = torch.from_numpy(np.stack([s.patches for s in stills])).float().flatten(1, 2)
    centres = patches[:, :, -1].sum(1).long().clamp(max=5)
    return to_pixels(np.stack([s.pixels for s in stills])), patches, centres
