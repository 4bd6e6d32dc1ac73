"""What `aim` and `st_adapter` share: the frozen ViT's layers with something new between them.

    pixels -> embeddings -> each layer with its adapters -> frozen Q-Former, frame by frame -> mean

The ViT runs with gradients inside, so features can't be cached and a step costs much more.
"""

from __future__ import annotations

from typing import Any, cast

from einops import rearrange
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.attention import attend
from mtrans.models.connectors.base import ClipBatch, Connector, Visual
from mtrans.models.pooling import masked_mean
from mtrans.models.st_qformer import plain_qformer


class VitConnector(Connector):
    """Base of connectors inside the ViT."""

    needs_pixels = True

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        self.depth = int(config.vision_config.num_hidden_layers)
        self.frames = plain_qformer(config, qformer, settings)

    def begin(self, x: Tensor) -> Tensor:
        """Returns the embedded patches float[B, T, P, Cv] as the first layer shall see them."""
        return x

    def layer(self, index: int, layer: Any, x: Tensor, frame_mask: Tensor) -> Tensor:
        """Runs a layer of the ViT.

        Args:
            index: Which.
            layer: transformers' own.
            x: float[B, T, P, Cv].
            frame_mask: bool[B, T].

        Returns:
            float[B, T, P, Cv].
        """
        raise NotImplementedError

    def forward(self, clips: ClipBatch) -> Visual:
        """Makes visual tokens.

        Args:
            clips: The batch, with pixels.

        Returns:
            float[B, Q, C], the mean over frames.
        """
        pixels, mask = clips.pixels, clips.pixel_mask
        assert pixels is not None
        assert mask is not None
        frames = mask.shape[1]
        x = clips.vision.embeddings(rearrange(pixels, "b t c h w -> (b t) c h w"))
        x = self.begin(rearrange(x, "(b t) p c -> b t p c", t=frames))
        for index, layer in enumerate(clips.vision.encoder.layers):
            x = self.layer(index, layer, x, mask)
        x = clips.vision.post_layernorm(x)
        x = x if clips.clip_rows is None else x[clips.clip_rows]
        queries = self.frames(clips.but(patches=x)).tokens
        queries = rearrange(queries, "b (t q) c -> b t q c", q=self.queries)
        return Visual(masked_mean(queries, clips.frame_mask))


def frozen_attention(attention: Any, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Runs a ViT layer's pretrained attention over any sequence.

    Args:
        attention: transformers' ViT attention.
        x: float[n, L, Cv].
        bias: Additive float, broadcastable to [n, h, L, L], or None.

    Returns:
        float[n, L, Cv].
    """
    split = "n l (three h d) -> three n h l d"
    query, key, value = rearrange(attention.qkv(x), split, three=3, h=attention.num_heads)
    bias = None if bias is None else bias.to(query.dtype)
    mixed = attend(query, key, value, bias, 0.0)
    return cast(Tensor, attention.projection(rearrange(mixed, "n h l d -> n l (h d)")))
