"""From queries of every frame to the LLM's visual tokens: (B, T, Q, C) -> (B, K, C)."""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from mtrans.models.routing import masked_bias
from mtrans.models.trained import TrainedWhole

Pool = Literal["mean", "last", "attention", "concat"]


class AttentionPool(TrainedWhole):
    """Weighs the frames of each query by a learned score; starts as the mean.

    Args:
        width: Q-Former width `C`.
    """

    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Starts with equal weights."""
        nn.init.zeros_(self.score)

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """Pools over frames.

        Args:
            x: float[B, T, Q, C].
            frame_mask: bool[B, T].

        Returns:
            float[B, Q, C].
        """
        score = x.to(self.score.dtype) @ self.score
        score = score + rearrange(masked_bias(frame_mask, score.dtype), "b t -> b t 1")
        weight = rearrange(score.softmax(dim=1), "b t q -> b t q 1").to(x.dtype)
        return reduce(x * weight, "b t q c -> b q c", "sum")


def masked_mean(x: Tensor, frame_mask: Tensor) -> Tensor:
    """Mean over the frames that are there.

    Args:
        x: float[B, T, ...].
        frame_mask: bool[B, T].

    Returns:
        float[B, ...].
    """
    weight = frame_mask.to(x.dtype)
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("bt,bt...->b...", weight, x)


def pool_frames(
    x: Tensor, frame_mask: Tensor, *, pool: Pool, attention: nn.Module | None = None
) -> Tensor:
    """Makes the LLM's visual tokens.

    Args:
        x: float[B, T, Q, C].
        frame_mask: bool[B, T]; `concat` keeps masked frames' places for the LLM to ignore.
        pool: How.
        attention: The learned pool, for ``pool="attention"``.

    Returns:
        float[B, K, C] with K = Q, or T * Q for `concat`.
    """
    if pool == "concat":
        return rearrange(x, "b t q c -> b (t q) c")
    if pool == "last":
        index = torch.arange(x.shape[1], device=x.device) * frame_mask
        return x[torch.arange(x.shape[0], device=x.device), index.argmax(dim=1)]
    if pool == "attention":
        assert attention is not None
        pooled: Tensor = attention(x, frame_mask)
        return pooled
    return masked_mean(x, frame_mask)
