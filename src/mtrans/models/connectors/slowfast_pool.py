"""`slowfast_pool`: projected patch tokens, pooled, frame after frame with a separator between them.

    MLP -> every second frame 2 x 2 pooled (slow), the others 4 x 4 (fast) -> [frame][sep][frame]...

Source: Zhang et al., "Video Instruction Tuning With Synthetic Data" (LLaVA-Video, 2024): a
two-layer MLP on patch tokens, SlowFast pooling of frames, a learned token that ends each frame.
Order is left to the LLM. Ours: ViT and LLM stay frozen, where the original trains them too, on
millions of clips; every second frame is slow. The MLP starts from nothing, as published.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import ClipBatch, Connector, Visual
from mtrans.models.connectors.blocks import as_grid, mlp
from mtrans.models.trained import TrainedWhole

STRIDE = 2
"""Every so many frames one is slow."""

SLOW, FAST = 2, 4
"""Sides of the squares that are averaged."""


class SlowFastPool(Connector):
    """Pooled patch tokens and frame separators."""

    about = "patch tokens through an MLP, pooled per frame, slow and fast, with separators"
    source = "LLaVA-Video, 2024"
    tokens_in = "llm"

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        width = self.width_or(self.llm_width)
        self.projector = Projector(self.vision_width, width, self.llm_width)

    def side(self, frame: int) -> int:
        """Side of a frame's pooled grid."""
        return -(-self.grid // (FAST if frame % STRIDE else SLOW))

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` of a clip of so many frames."""
        return sum(self.side(t) ** 2 + 1 for t in range(frames))

    def forward(self, clips: ClipBatch) -> Visual:
        """Makes visual tokens.

        Args:
            clips: The batch.

        Returns:
            float[B, K, D], each frame's pooled patches and its separator.
        """
        sides = [self.side(t) for t in range(clips.frame_mask.shape[1])]
        tokens = self.projector(as_grid(clips.patches), sides)
        counts = torch.tensor([side**2 + 1 for side in sides], device=tokens.device)
        return Visual(tokens, clips.frame_mask.repeat_interleave(counts, dim=1))


class Projector(TrainedWhole):
    """The MLP and the separator.

    Args:
        width: ViT width `Cv`.
        inner: Of the MLP.
        out: LLM width `D`.
    """

    def __init__(self, width: int, inner: int, out: int):
        super().__init__()
        self.mlp = mlp(width, inner, out)
        self.separator = nn.Parameter(torch.empty(out))
        self.reset_parameters()

    def special(self) -> None:
        """Draws the separator."""
        nn.init.normal_(self.separator, std=self.separator.shape[0] ** -0.5)

    def forward(self, grid: Tensor, sides: list[int]) -> Tensor:
        """Returns float[B, K, D] of float[B, T, Cv, g, g] and each frame's pooled side."""
        projected = self.mlp(rearrange(grid.to(self.separator.dtype), "b t c y x -> b t y x c"))
        end = repeat(self.separator, "d -> b 1 d", b=len(grid)).to(projected.dtype)
        parts: list[Tensor] = []
        for frame, side in zip(projected.unbind(dim=1), sides, strict=True):
            picture = rearrange(frame, "b y x d -> b d y x")
            pooled = nn.functional.adaptive_avg_pool2d(picture, side)
            parts += [rearrange(pooled, "b d y x -> b (y x) d"), end]
        return cast(Tensor, torch.cat(parts, dim=1))
