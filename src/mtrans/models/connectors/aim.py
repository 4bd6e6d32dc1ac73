"""`aim`: the ViT's own attention reused over time, with small adapters that start at zero.

    each ViT layer:  x + A_t(attention over T)  ->  x + (1 + A_s)(attention over P)
                     ->  x + MLP(x) + A_j(x) / 2

Source: Yang et al., "AIM: Adapting Image Models for Efficient Video Action Recognition", ICLR 2023:
temporal attention on the frozen spatial weights, bottleneck adapters of a quarter of the width,
temporal embedding at zero. Ours: the frozen Q-Former reads the frames, one by one, and the mean of
its queries goes to the frozen LLM, where the original trains a classifier on CLS. The idea of
reuse is that of MQT, which has it in the Q-Former, behind features that can be cached.
"""

from __future__ import annotations

from typing import Any, cast

from einops import rearrange, repeat
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.blocks import Bottleneck, FramePosition, hide
from mtrans.models.connectors.vit import VitConnector, frozen_attention

SCALE = 0.5
"""Weight of the joint adapter, as published."""


class Aim(VitConnector):
    """Adapters and temporal attention in every layer of the ViT."""

    about = "inside the ViT: its attention reused over time, zero-start bottleneck adapters"
    source = "AIM, ICLR 2023"

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        width = self.vision_width
        inner = self.width_or(max(1, width // 4))
        self.frame_position = FramePosition(max_frames=settings.max_frames, width=width, scale=0.0)

        def adapters() -> nn.ModuleList:
            return nn.ModuleList([Bottleneck(width, inner) for _ in range(self.depth)])

        self.temporal, self.spatial, self.joint = adapters(), adapters(), adapters()

    def begin(self, x: Tensor) -> Tensor:
        """Adds the temporal embedding to float[B, T, P, Cv]."""
        return cast(Tensor, self.frame_position(x))

    def layer(self, index: int, layer: Any, x: Tensor, frame_mask: Tensor) -> Tensor:
        """Runs a layer of the ViT, as :meth:`VitConnector.layer` says."""
        batch, frames, patches, _ = x.shape
        over_time = rearrange(layer.layer_norm1(x), "b t p c -> (b p) t c")
        seen = repeat(frame_mask, "b t -> (b p) t", p=patches)
        looked = frozen_attention(layer.self_attn, over_time, hide(seen, x.dtype))
        x = x + rearrange(self.temporal[index](looked), "(b p) t c -> b t p c", b=batch)
        within = rearrange(layer.layer_norm1(x), "b t p c -> (b t) p c")
        looked = frozen_attention(layer.self_attn, within)
        looked = looked + self.spatial[index](looked)
        x = x + rearrange(looked, "(b t) p c -> b t p c", t=frames)
        normed = layer.layer_norm2(x)
        return cast(Tensor, x + layer.mlp(normed) + SCALE * self.joint[index](normed))
