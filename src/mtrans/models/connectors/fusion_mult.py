"""`fusion_mult`: words look at frames, frames look at words, then each at itself.

Source: Tsai et al., "Multimodal Transformer for Unaligned Multimodal Language Sequences" (MulT),
ACL 2019: directional crossmodal transformers, self-attention over each result, a classifier. Ours:
two modalities (text, vision); the frozen LLM's embeddings and the frozen ViT's features in place of
GloVe and facial action units; a linear layer in place of convolutions over time; two crossmodal
layers a direction and one over each result, what is looked at entering without a norm of its own;
means in place of last elements; no dropout.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import HEAD_WIDTH, ClipBatch, heads_of
from mtrans.models.connectors.blocks import FramePosition
from mtrans.models.connectors.heads import (
    AnswerHead,
    Crossing,
    Projected,
    frame_features,
    word_order,
)
from mtrans.models.pooling import masked_mean


class FusionMult(AnswerHead):
    """Crossmodal transformers in both directions, and a classifier."""

    about = "words attend to frames and frames to words; a classifier"
    source = "MulT, ACL 2019"
    width_step = HEAD_WIDTH

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        inner, heads = self.inner, heads_of(self.inner)
        self.words = Projected(self.llm_width, inner)
        self.look = Projected(2 * self.vision_width, inner)
        self.frame_position = FramePosition(max_frames=settings.max_frames, width=inner, scale=0.5)
        self.text_from_vision = Crossing(inner, heads=heads, layers=2)
        self.vision_from_text = Crossing(inner, heads=heads, layers=2)
        self.text_itself = Crossing(inner, heads=heads, layers=1)
        self.vision_itself = Crossing(inner, heads=heads, layers=1)

    @property
    def feature_width(self) -> int:
        """Width of what :meth:`features` gives."""
        return 2 * self.inner

    def features(self, clips: ClipBatch, text: Tensor, seen: Tensor) -> Tensor:
        """Sums up clip and question; see :meth:`AnswerHead.features`."""
        words = self.words(text)
        words = words + word_order(words.shape[1], words.shape[2], words)
        frames = self.look(frame_features(clips)).unsqueeze(2)
        frames, there = self.frame_position(frames).squeeze(2), clips.frame_mask
        told = self.text_itself(self.text_from_vision(words, frames, there), None, seen)
        shown = self.vision_itself(self.vision_from_text(frames, words, seen), None, there)
        return torch.cat([masked_mean(told, seen), masked_mean(shown, there)], dim=-1)
