"""What moves, read off neighbouring patches before the queries have made a few words of a frame.

    patches x[B, T, P, Cv] -> down to r channels -> depthwise convolution over time and picture
      -> GELU -> z[B, T, P, r];   the Q-Former looks at x + up(z), up[Cv, r]

Weights start small, as transformers starts new layers: what is added is about a thousandth of a
patch then.

The queries of a frame see that frame alone, and temporal attention sees queries: a step of one
patch between two frames must survive both to be told. Here it is told beside the frame's own
features, in few channels. The patches themselves stay as they are, frozen and cached: attention
to ``x + up(z)`` is attention to x plus something in r channels (:mod:`mtrans.models.absorbed`), so
no gradient of the patches' size is ever computed.

Source: a bottleneck around a depthwise 3D convolution is ST-Adapter's (NeurIPS 2022), inside the
ViT there; one behind the ViT is this project's.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from mtrans.models.connectors.blocks import as_grid, neighbours, only_there
from mtrans.models.trained import TrainedWhole

START = 0.02
"""Standard deviation of weights at the start: transformers' `initializer_range`."""


class Mixed(NamedTuple):
    """What is added to patches, in its two factors.

    Attributes:
        low: float[..., P, r]; zero for CLS.
        up: float[Cv, r].
    """

    low: Tensor
    up: Tensor

    def added_to(self, patches: Tensor) -> Tensor:
        """Returns float[..., P, Cv] of the same."""
        return patches + (self.low @ self.up.mT.to(self.low.dtype)).to(patches.dtype)


class PatchMixing(TrainedWhole):
    """Mixes each patch with its neighbours in picture and time.

    Args:
        width: ViT width `Cv`.
        inner: Channels `r`.
        step: Frames from a patch to its neighbours in time; 0 is a quarter of the clip's.
    """

    def __init__(self, width: int, inner: int, step: int = 0):
        super().__init__()
        self.step = step
        self.down = nn.Linear(width, inner)
        self.convolution = nn.Conv3d(inner, inner, 3, padding=1, groups=inner)
        self.up = nn.Linear(inner, width, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws small weights."""
        for layer in (self.down, self.convolution, self.up):
            nn.init.normal_(layer.weight, std=START)
        for bias in (self.down.bias, self.convolution.bias):
            nn.init.zeros_(cast(Tensor, bias))

    def forward(self, patches: Tensor, seen: Tensor) -> Mixed:
        """Reads neighbours.

        Args:
            patches: float[B, T, P, Cv].
            seen: bool[B, T] or bool[B, T, P]; what is not seen is no neighbour.

        Returns:
            float[B, T, P, r] and the way up.
        """
        if not torch.is_autocast_enabled(patches.device.type):
            patches = patches.to(self.down.weight.dtype)
        low = only_there(self.down(patches), seen)
        step = self.step or a_quarter(seen)
        moved = nn.functional.gelu(neighbours(as_grid(low), self.convolution, step))
        moved = rearrange(moved, "b t c y x -> b t (y x) c")
        return Mixed(nn.functional.pad(moved, (0, 0, 1, 0)), self.up.weight)


def a_quarter(seen: Tensor) -> Tensor:
    """Returns a quarter of each clip's own frames, at least 1: padding in a batch changes nothing.

    Args:
        seen: bool[B, T] or bool[B, T, P].

    Returns:
        int[B].
    """
    frames = (seen if seen.ndim == 2 else seen.any(dim=-1)).sum(dim=1)
    return (frames // 4).clamp(min=1)
