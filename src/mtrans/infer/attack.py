"""Changes of pixels made against the model: PGD within an L-infinity ball, and noise as large.

    pixels -> ViT -> connector -> LLM -> loss of the right answer --gradient--> pixels, uphill

Madry et al., ICLR 2018: steps along the sign of the gradient, each time back into the ball and into
the range of pixels. The control moves every value by the same bound in a random direction: what an
attack does beyond it, it does because it knows the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.data.clips import Source
from mtrans.data.collate import Item
from mtrans.infer.conditions import Condition
from mtrans.train.sources import video_source
from mtrans.train.validation import to_device
from mtrans.video.perturb.registry import draws

if TYPE_CHECKING:
    from mtrans.infer.predictor import Predictor

ATTACKS = {
    "pgd": "the worst change within the bound that ten steps along the gradient find",
    "pgd_noise": "a random change of every value by the same bound: the control of pgd",
}
"""Name -> what it does."""

BOUNDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Largest change of a pixel's value at severities 1 to 5, of 255."""

STEPS = 10
"""Steps of the attack."""

TOGETHER = 8
"""Clips attacked together: gradients through the ViT need memory."""


class Attacked(Condition):
    """An attack on the frames, or its control.

    Args:
        name: ``pgd`` or ``pgd_noise``.
        severity: 1 to 5.
        seed: Of the random starts and the noise.

    Raises:
        SettingsError: No such severity.
    """

    def __init__(self, name: str, severity: int, seed: int = 0):
        if not 1 <= severity <= len(BOUNDS):
            raise SettingsError(f"severity {severity} of '{name}': wanted 1 to {len(BOUNDS)}")
        self.name, self.severity, self.seed = name, severity, seed

    def to_json(self) -> dict[str, Any]:
        """Returns name, strength and seed."""
        return {
            "name": self.name,
            "kind": "attack",
            "severity": self.severity,
            "level": BOUNDS[self.severity - 1],
            "unit": "largest change of a pixel's value, of 255",
            "about": ATTACKS[self.name],
            "seed": self.seed,
        }

    def pixels(self, predictor: Predictor, samples: Sequence[Sample]) -> Source | None:
        """Returns the source that decodes: features have no pixels to change.

        Raises:
            SettingsError: The model sees no pixels.
        """
        if not predictor.settings.model.vision:
            raise SettingsError(f"{self.name} needs pixels, and the text-only control sees none")
        return video_source(predictor.backbone, predictor.settings)

    def items(self, predictor: Predictor, items: list[Item]) -> list[Item]:
        """Returns the items with changed pixels.

        Raises:
            SettingsError: A question without a right answer can't be attacked.
        """
        for sample, _, _ in items:
            if sample.answer is None:
                raise SettingsError(f"sample '{sample.id}' has no answer; an attack needs one")
        made: list[Item] = []
        for begin in range(0, len(items), TOGETHER):
            made += self._some(predictor, items[begin : begin + TOGETHER])
        return made

    def _some(self, predictor: Predictor, items: list[Item]) -> list[Item]:
        model, device = predictor.backbone.base, predictor.device
        batch = to_device(predictor.collate(items), device)
        batch["pixel_values"], clean = batch["pixel_values"].float(), batch["pixel_values"].float()
        image = predictor.backbone.image
        ball = Ball.around(clean, BOUNDS[self.severity - 1] / 255, mean=image.mean, std=image.std)
        drawn = self._drawn(items, clean)
        if self.name == "pgd_noise":
            changed = sign_noise(ball, drawn)
        else:
            changed = pgd(model, batch, ball, drawn)
        return [
            (sample, changed[i, : len(times)].cpu().numpy(), times)
            for i, (sample, _, times) in enumerate(items)
        ]

    def _drawn(self, items: list[Item], like: Tensor) -> Tensor:
        """Returns random numbers float[B, T, 3, H, W] in [-1, 1), each question's own.

        So they are the same whichever questions are asked beside it, or after an interruption.
        """
        drawn = torch.zeros_like(like)
        for row, (sample, _, times) in zip(drawn, items, strict=True):
            rng = draws(self.seed, self.name, sample.id)
            shape = (len(times), *like.shape[2:])
            row[: len(times)] = torch.from_numpy(2 * rng.random(shape, np.float32) - 1)
        return drawn


@dataclasses.dataclass(frozen=True)
class Ball:
    """Where changed pixels may lie.

    Attributes:
        centre: float[B, T, 3, H, W], preprocessed.
        reach: float[3, 1, 1], the bound in the units of `centre`.
        low: float[3, 1, 1], black.
        high: float[3, 1, 1], white.
    """

    centre: Tensor
    reach: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def around(
        cls, centre: Tensor, bound: float, *, mean: Sequence[float], std: Sequence[float]
    ) -> Ball:
        """Returns the ball around preprocessed pixels.

        Args:
            centre: float[B, T, 3, H, W].
            bound: Largest change; 1 is the whole range from black to white.
            mean: What preprocessing took away, by channel.
            std: What it divided by.
        """
        m, s = (rearrange(torch.tensor(v), "c -> c 1 1").to(centre) for v in (mean, std))
        return cls(centre, bound / s, -m / s, (1 - m) / s)

    def into(self, pixels: Tensor) -> Tensor:
        """Brings pixels float[B, T, 3, H, W] back into the ball and the range of pixels."""
        near = torch.maximum(
            torch.minimum(pixels, self.centre + self.reach), self.centre - self.reach
        )
        return torch.maximum(torch.minimum(near, self.high), self.low)


def sign_noise(ball: Ball, drawn: Tensor) -> Tensor:
    """Moves every value by the bound, up or down at random.

    Args:
        ball: Where changed pixels may lie.
        drawn: float[B, T, 3, H, W], random numbers around 0.

    Returns:
        float[B, T, 3, H, W].
    """
    return ball.into(ball.centre + drawn.sign() * ball.reach)


def pgd(
    model: Any,
    batch: dict[str, Tensor],
    ball: Ball,
    drawn: Tensor,
    *,
    steps: int = STEPS,
) -> Tensor:
    """Looks for the change that makes right answers least likely.

    Args:
        model: The assembled model; its mode and parameters stay as they are.
        batch: As the collator makes it, with labels; `pixel_values` are replaced.
        ball: Where changed pixels may lie.
        drawn: float[B, T, 3, H, W], random numbers in [-1, 1]: the start, from centre to bound.
        steps: Steps along the gradient's sign, each a quarter of the way they all have to go.

    Returns:
        float[B, T, 3, H, W].
    """
    pixels = ball.into(ball.centre + drawn * ball.reach)
    for _ in range(steps):
        pixels = pixels.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss_of(model, batch, pixels), pixels)
        pixels = ball.into(pixels.detach() + 2.5 / steps * ball.reach * gradient.sign())
    return pixels.detach()


def loss_of(model: Any, batch: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """Returns the loss of the right answers, with gradients down to the pixels.

    Args:
        model: The assembled model.
        batch: As the collator makes it, with labels.
        pixels: float[B, T, 3, H, W].
    """
    rest = {k: v for k, v in batch.items() if k not in ("pixel_values", "patch_features")}
    with torch.enable_grad():
        if model.needs_pixels:
            seen = {"pixel_values": pixels}
        else:
            frames = rearrange(pixels, "b t c h w -> (b t) c h w")
            patches = model.vision_model(pixel_values=frames).last_hidden_state
            seen = {"patch_features": rearrange(patches, "(b t) p c -> b t p c", b=len(pixels))}
        loss: Tensor = model(**seen, **rest).loss
    return loss


def l_infinity(changed: Tensor, clean: Tensor, std: Sequence[float]) -> float:
    """Returns the largest change of a pixel, 1 being the whole range from black to white.

    Args:
        changed: float[B, T, 3, H, W], preprocessed.
        clean: The same without the change.
        std: What preprocessing divided by, by channel.
    """
    scale = rearrange(torch.tensor(np.asarray(std)), "c -> c 1 1").to(clean)
    return float(((changed - clean).abs() * scale).max())
