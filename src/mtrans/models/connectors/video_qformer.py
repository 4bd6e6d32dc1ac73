"""`video_qformer`: a second, small Q-Former over the queries of all frames.

    queries of every frame [B, T, Q, C] + frame embedding -> small Q-Former -> [B, Q, C]

Source: Zhang, Li, Bing, "Video-LLaMA: An Instruction-tuned Audio-Visual Language Model for Video
Understanding", EMNLP 2023 demo: image Q-Former frozen, frame embeddings and a two-layer video
Q-Former trained. Ours: its output is added to the mean over frames and starts at zero, and goes
through the frozen projection. The original starts from nothing and needs video pre-training.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import HEAD_WIDTH, ClipBatch, Connector, Visual, heads_of
from mtrans.models.connectors.blocks import Attention, FramePosition, each, hide, mlp, zero
from mtrans.models.pooling import masked_mean
from mtrans.models.st_qformer import plain_qformer
from mtrans.models.trained import TrainedWhole

LAYERS = 2
"""Layers of the small Q-Former, as published."""


class VideoQFormer(Connector):
    """Frozen image Q-Former, frame embedding, small video Q-Former."""

    about = "a small Q-Former over all frames' queries, with frame embeddings"
    source = "Video-LLaMA, EMNLP 2023"
    width_step = HEAD_WIDTH

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        width = self.qformer_width
        self.frames = plain_qformer(config, qformer, settings)
        self.frame_position = FramePosition(max_frames=settings.max_frames, width=width)
        self.video = SmallQFormer(queries=self.queries, width=width, inner=self.width_or(width))

    def forward(self, clips: ClipBatch) -> Visual:
        """Makes visual tokens.

        Args:
            clips: The batch.

        Returns:
            float[B, Q, C].
        """
        x = self.frames(clips).tokens
        x = rearrange(x, "b (t q) c -> b t q c", q=self.queries)
        told = rearrange(self.frame_position(x), "b t q c -> b (t q) c")
        seen = each(clips.frame_mask, self.queries)
        return Visual(masked_mean(x, clips.frame_mask) + self.video(told, seen).to(x.dtype))


class SmallQFormer(TrainedWhole):
    """Learned queries that attend to themselves and to a sequence; its output starts at zero.

    Args:
        queries: How many.
        width: Of the sequence and of the output.
        inner: Of its layers.
    """

    def __init__(self, *, queries: int, width: int, inner: int):
        super().__init__()
        self.query = nn.Parameter(torch.empty(queries, inner))
        self.into = nn.Linear(width, inner)
        self.layers = nn.ModuleList([QueryLayer(inner) for _ in range(LAYERS)])
        self.norm, self.out = nn.LayerNorm(inner), nn.Linear(inner, width)
        self.reset_parameters()

    def special(self) -> None:
        """Draws the queries; zeroes the way out."""
        nn.init.normal_(self.query)
        zero(self.out)

    def forward(self, sequence: Tensor, seen: Tensor) -> Tensor:
        """Reads a sequence.

        Args:
            sequence: float[B, M, C].
            seen: bool[B, M], False at padding.

        Returns:
            float[B, Q, C].
        """
        sequence = self.into(sequence.to(self.query.dtype))
        x = repeat(self.query, "q c -> b q c", b=len(sequence)).to(sequence.dtype)
        bias = hide(seen, sequence.dtype)
        for layer in self.layers:
            x = layer(x, sequence, bias)
        return cast(Tensor, self.out(self.norm(x)))


class QueryLayer(nn.Module):
    """Self-attention, cross-attention, feed-forward, each after a LayerNorm.

    Args:
        width: Of queries and context.
    """

    def __init__(self, width: int):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.own = Attention(width, heads=heads_of(width))
        self.cross = Attention(width, heads=heads_of(width))
        self.feed = mlp(width, 4 * width, width)

    def forward(self, x: Tensor, context: Tensor, bias: Tensor | None) -> Tensor:
        """Returns float[B, Q, C]; context float[B, M, C], bias float[B, 1, 1, M] or None."""
        first, second, third = self.norms
        asked = first(x)
        x = x + self.own(asked, asked)
        x = x + self.cross(second(x), context, bias)
        return cast(Tensor, x + self.feed(third(x)))
