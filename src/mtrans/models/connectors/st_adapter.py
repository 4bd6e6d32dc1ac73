"""`st_adapter`: depthwise convolutions over time inside the frozen ViT.

    each ViT layer:  x + up(convolution over (T, 1, 1) (down(x)))  ->  the layer as it was

Source: Pan et al., "ST-Adapter: Parameter-Efficient Image-to-Video Transfer Learning", NeurIPS
2022: one adapter before each layer's attention, depthwise 3 x 1 x 1 kernels, bottleneck of half the
width, CLS left out; it begins as the image model. Ours: it does so by a way up that is zero, where
the authors' code has a convolution that is zero (their variant of one adapter a layer stands before
the MLP); the frozen Q-Former reads the frames, one by one, and the mean of its queries goes to the
frozen LLM, where the original trains a classifier.
"""

from __future__ import annotations

from typing import Any, cast

from einops import rearrange
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.blocks import only_there, zero
from mtrans.models.connectors.vit import VitConnector, frozen_attention
from mtrans.models.trained import TrainedWhole


class SpatialTemporalAdapter(VitConnector):
    """A convolutional adapter in every layer of the ViT."""

    about = "inside the ViT: bottleneck adapters with a depthwise convolution over time"
    source = "ST-Adapter, NeurIPS 2022"

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        width = self.vision_width
        inner = self.width_or(max(1, width // 2))
        self.adapters = nn.ModuleList([TimeAdapter(width, inner) for _ in range(self.depth)])

    def layer(self, index: int, layer: Any, x: Tensor, frame_mask: Tensor) -> Tensor:
        """Runs a layer of the ViT, as :meth:`VitConnector.layer` says."""
        frames = x.shape[1]
        x = rearrange(self.adapters[index](x, frame_mask), "b t p c -> (b t) p c")
        x = x + frozen_attention(layer.self_attn, layer.layer_norm1(x))
        x = x + layer.mlp(layer.layer_norm2(x))
        return cast(Tensor, rearrange(x, "(b t) p c -> b t p c", t=frames))


class TimeAdapter(TrainedWhole):
    """Down, convolution over frames at each place, up; added.

    Args:
        width: ViT width `Cv`.
        inner: Of the bottleneck.
    """

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        self.over_time = nn.Conv1d(inner, inner, 3, padding=1, groups=inner)
        self.reset_parameters()

    def special(self) -> None:
        """Zeroes the way up."""
        zero(self.up)

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """Returns float[B, T, P, Cv] of the same and bool[B, T]."""
        batch = len(x)
        inner = self.down(x[:, :, 1:].to(self.down.weight.dtype))
        inner = rearrange(only_there(inner, frame_mask), "b t p c -> (b p) c t")
        inner = rearrange(self.over_time(inner), "(b p) c t -> b t p c", b=batch)
        return x + nn.functional.pad(self.up(inner), (0, 0, 1, 0)).to(x.dtype)
