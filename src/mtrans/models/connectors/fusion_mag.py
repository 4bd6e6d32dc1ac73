"""`fusion_mag`: what is seen shifts the words, through a gate, within bounds; then a transformer.

    h = relu(W [v; w]) * (W_v v)      w' = LayerNorm(w + min(|w| / |h| * beta, 1) h)

Source: Rahman et al., "Integrating Multimodal Information in Large Pretrained Transformers"
(MAG-BERT), ACL 2020: the multimodal adaptation gate. Ours: words find their frames by attention,
where the original has them aligned by time; the frozen LLM's embeddings and two new transformer
layers, 64 wide (`model.width`), without dropout, in place of a fine-tuned BERT.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import HEAD_WIDTH, ClipBatch, heads_of
from mtrans.models.connectors.blocks import Attention, FramePosition, hide
from mtrans.models.connectors.heads import (
    AnswerHead,
    Crossing,
    Projected,
    frame_features,
    word_order,
)
from mtrans.models.pooling import masked_mean
from mtrans.models.trained import TrainedWhole


class FusionMag(AnswerHead):
    """The multimodal adaptation gate, a transformer, a classifier."""

    about = "frames shift the words' embeddings through a gate; a transformer, a classifier"
    source = "MAG, ACL 2020"
    width_step = HEAD_WIDTH

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        inner = self.inner
        self.words = Projected(self.llm_width, inner)
        self.look = Projected(2 * self.vision_width, inner)
        self.frame_position = FramePosition(max_frames=settings.max_frames, width=inner, scale=0.5)
        self.gate = AdaptationGate(inner)
        self.reader = Crossing(inner, heads=heads_of(inner), layers=2)

    def features(self, clips: ClipBatch, text: Tensor, seen: Tensor) -> Tensor:
        """Sums up clip and question; see :meth:`AnswerHead.features`."""
        words = self.words(text)
        words = words + word_order(words.shape[1], words.shape[2], words)
        frames = self.look(frame_features(clips)).unsqueeze(2)
        frames = self.frame_position(frames).squeeze(2)
        shifted = self.gate(words, frames, clips.frame_mask)
        return masked_mean(self.reader(shifted, None, seen), seen)


class AdaptationGate(TrainedWhole):
    """Shifts words by what is seen.

    Args:
        width: Of words and frames.
        beta: Longest shift, as a share of the word's own length.
    """

    def __init__(self, width: int, beta: float = 1.0):
        super().__init__()
        self.beta = beta
        self.find = Attention(width, heads=heads_of(width))
        self.gate, self.shift = nn.Linear(2 * width, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.reset_parameters()

    def forward(self, words: Tensor, frames: Tensor, there: Tensor) -> Tensor:
        """Returns float[B, L, d] of words float[B, L, d], frames float[B, T, d], bool[B, T]."""
        seen = self.find(words, frames, hide(there, words.dtype))
        opened = nn.functional.relu(self.gate(torch.cat([seen, words], dim=-1)))
        shift = opened * self.shift(seen)
        length, own = (x.float().norm(dim=-1, keepdim=True) for x in (shift, words))
        most = (self.beta * own / length.clamp(min=1e-6)).clamp(max=1.0)
        return cast(Tensor, self.norm(words + most.to(words.dtype) * shift))
