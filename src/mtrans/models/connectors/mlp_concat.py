"""`mlp_concat`: four neighbouring patches become one token through an MLP; all frames' tokens.

    patches [B, T, Cv, g, g] -> pixel shuffle -> [B, T, 4 Cv, g/2, g/2] -> MLP -> [B, K, D]

Source: Chen et al., InternVL 1.5 and InternVL2 (2024): pixel shuffle by a half and a two-layer MLP,
frames of a video one after another. Order is left to the LLM. Ours: ViT and LLM stay frozen, where
the original trains them too, on millions of pictures and clips; no tiles. The MLP starts from
nothing, as published.
"""

from __future__ import annotations

from typing import Any, cast

from einops import rearrange
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import ClipBatch, Connector, Visual
from mtrans.models.connectors.blocks import as_grid, each, mlp
from mtrans.models.trained import TrainedWhole


class PatchMlp(Connector):
    """Down-shuffled patch tokens through an MLP, concatenated."""

    about = "2 x 2 patches joined into one token, an MLP, all frames concatenated"
    source = "InternVL2, 2024"
    tokens_in = "llm"

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        width = self.width_or(self.llm_width)
        self.projector = Projector(4 * self.vision_width, width, self.llm_width)

    @property
    def per_frame(self) -> int:
        """Tokens of a frame."""
        return ((self.grid + 1) // 2) ** 2

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` of a clip of so many frames."""
        return frames * self.per_frame

    def forward(self, clips: ClipBatch) -> Visual:
        """Makes visual tokens.

        Args:
            clips: The batch.

        Returns:
            float[B, T * ceil(g / 2) ** 2, D].
        """
        grid = as_grid(clips.patches, multiple=2)
        joined = rearrange(grid, "b t c (y a) (x e) -> b (t y x) (a e c)", a=2, e=2)
        return Visual(self.projector(joined), each(clips.frame_mask, self.per_frame))


class Projector(TrainedWhole):
    """LayerNorm and MLP.

    Args:
        width: Of the joined patches.
        inner: Of the MLP.
        out: LLM width `D`.
    """

    def __init__(self, width: int, inner: int, out: int):
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(width), mlp(width, inner, out)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Returns float[B, K, D] of float[B, K, 4 Cv]."""
        return cast(Tensor, self.mlp(self.norm(x.to(self.norm.weight.dtype))))
