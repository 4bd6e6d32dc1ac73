"""`stc`: convolutions over picture and time make fewer patch tokens, which go to the LLM.

    patches [B, T, Cv, g, g] -> block -> 3D convolution, stride 2 -> block -> MLP
      -> [B, T/2 * g/2 * g/2, D]

Source: Cheng et al., "VideoLLaMA 2: Advancing Spatial-Temporal Modeling and Audio Understanding in
Video-LLMs" (2024), the STC connector: RegNet stages around a 3D convolution. Ours: one block a
stage in place of four, of the ViT's width inside, and a 1 x 1 convolution before the first; no
SiLU behind the 3D convolution, which is not padded (as in their v35 variant); the LLM stays frozen,
where the original trains it too. It has no use for the Q-Former and starts from nothing: the
original learned it from millions of clips.
"""

from __future__ import annotations

from typing import Any, cast

from einops import rearrange, reduce
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import ClipBatch, Connector, Visual
from mtrans.models.connectors.blocks import as_grid, each, mlp, only_there
from mtrans.models.trained import TrainedWhole


class SpatialTemporalConvolution(Connector):
    """Convolutional connector on patches."""

    about = "patches through 2D and 3D convolutions that halve time and both sides"
    source = "VideoLLaMA 2, 2024"
    tokens_in = "llm"

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        width = self.vision_width
        self.stc = Convolutions(width, self.width_or(width), self.llm_width)

    @property
    def per_pair(self) -> int:
        """Tokens of two frames."""
        return ((self.grid + 1) // 2) ** 2

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` of a clip of so many frames."""
        return (frames + 1) // 2 * self.per_pair

    def forward(self, clips: ClipBatch) -> Visual:
        """Makes visual tokens.

        Args:
            clips: The batch.

        Returns:
            float[B, ceil(T / 2) * ceil(g / 2) ** 2, D], by time, then by place.
        """
        mask = nn.functional.pad(clips.frame_mask, (0, clips.frame_mask.shape[1] % 2))
        pairs = reduce(mask.float(), "b (t two) -> b t", "max", two=2).bool()
        tokens = self.stc(as_grid(clips.patches, multiple=2), clips.frame_mask)
        return Visual(tokens, each(pairs, self.per_pair))


class Convolutions(TrainedWhole):
    """The trained part.

    Args:
        width: ViT width `Cv`.
        inner: Of the convolutions.
        out: LLM width `D`.
    """

    def __init__(self, width: int, inner: int, out: int):
        super().__init__()
        self.into = nn.Conv2d(width, inner, 1)
        self.before, self.after = Block(inner), Block(inner)
        self.halve = nn.Conv3d(inner, inner, 2, stride=2)
        self.readout = mlp(inner, out, out)
        self.reset_parameters()

    def forward(self, grid: Tensor, frame_mask: Tensor) -> Tensor:
        """Returns float[B, K, D] of float[B, T, Cv, g, g] with even g and bool[B, T]."""
        frames = grid.shape[1]
        x = rearrange(grid.to(self.into.weight.dtype), "b t c y x -> (b t) c y x")
        x = rearrange(self.before(self.into(x)), "(b t) c y x -> b t c y x", t=frames)
        x = rearrange(only_there(x, frame_mask), "b t c y x -> b c t y x")
        x = self.halve(nn.functional.pad(x, (0, 0, 0, 0, 0, frames % 2)))
        pairs = x.shape[2]
        x = self.after(rearrange(x, "b c t y x -> (b t) c y x"))
        return cast(Tensor, self.readout(rearrange(x, "(b t) c y x -> b (t y x) c", t=pairs)))


class Block(nn.Module):
    """RegNet's: 1 x 1, depthwise 3 x 3, squeeze and excite, 1 x 1, added to the input.

    Args:
        width: Channels.
    """

    def __init__(self, width: int):
        super().__init__()
        self.into, self.out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.mix = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.excite = mlp(width, max(1, width // 4), width)

    def forward(self, x: Tensor) -> Tensor:
        """Returns float[n, C, g, g] of the same."""
        inner = nn.functional.silu(self._norm(0, self.into(x)))
        inner = nn.functional.silu(self._norm(1, self.mix(inner)))
        gate = self.excite(reduce(inner, "n c y x -> n c", "mean")).sigmoid()
        inner = self._norm(2, self.out(inner * rearrange(gate, "n c -> n c 1 1")))
        return nn.functional.silu(x + inner)

    def _norm(self, index: int, x: Tensor) -> Tensor:
        """Normalises over channels at each place."""
        normed = self.norms[index](rearrange(x, "n c y x -> n y x c"))
        return rearrange(normed, "n y x c -> n c y x")
