"""`memory_bank`: frames one after another, each looking back at a bounded memory.

    frame t of a layer: queries attend to themselves, the text and the remembered queries,
                        then to its own patches and the remembered patches
    memory of M frames: the two neighbours that are most alike are averaged when it is full
    the last frame's queries are the visual tokens: Q, however long the clip

Source: He et al., "MA-LMM: Memory-Augmented Large Multimodal Model for Long-Term Video
Understanding", CVPR 2024: visual and query memory banks, merging by cosine similarity at each
place, learned positions of frames. Ours: LoRA pairs in place of training the Q-Former; queries
alone are remembered, as the paper says (the authors' code keeps a block's words too); the memory
stands beside the present frame and lets gradients through.
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import ClipBatch, Connector, Visual
from mtrans.models.connectors.blocks import FramePosition, hide, run_attention
from mtrans.models.pooling import pool_frames
from mtrans.models.st_qformer import embed


class MemoryBank(Connector):
    """Visual and query memory with merging."""

    about = "frame after frame with memories of patches and queries; similar neighbours merge"
    source = "MA-LMM, CVPR 2024"
    has_lora = True
    dial = "lora.rank"

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        self.frame_position = FramePosition(max_frames=settings.max_frames, width=self.vision_width)

    def forward(self, clips: ClipBatch) -> Visual:
        """Makes visual tokens.

        Args:
            clips: The batch.

        Returns:
            float[B, Q, C], the queries of each clip's last frame.
        """
        batch, frames = clips.frame_mask.shape
        x = embed(clips.qformer, clips.query_tokens, clips.input_ids, batch)
        patches = self.frame_position(clips.patches.to(x.dtype))
        seen = self._looking_back(patches)
        text_seen = None
        if clips.input_ids is not None and clips.attention_mask is not None:
            text_seen = clips.attention_mask.bool()
        x = repeat(x, "b n c -> b t n c", t=frames)
        for layer in clips.qformer.encoder.layer:
            x = self._layer(layer, x, seen, text_seen)
        return Visual(pool_frames(x[:, :, : self.queries], clips.frame_mask, pool="last"))

    def _looking_back(self, tokens: Tensor) -> list[Tensor]:
        """Returns for each frame of float[B, T, P, C] float[B, m * P, C]: memory, then itself."""
        memory = Memory(self.settings.memory)
        seen = []
        for now in tokens.unbind(dim=1):
            seen.append(torch.cat([*memory.tokens, now], dim=1))
            memory.add(now)
        return seen

    def _layer(
        self, layer: Any, x: Tensor, patches: list[Tensor], text_seen: Tensor | None
    ) -> Tensor:
        queries, text = x.tensor_split([self.queries], dim=2)
        remembered = self._looking_back(queries)
        after = []
        for t, looking_back in enumerate(remembered):
            keys = torch.cat([looking_back, text[:, t]], dim=1)
            bias = None
            if text_seen is not None:
                always = (looking_back.shape[1], 0)
                bias = hide(nn.functional.pad(text_seen, always, value=True), keys.dtype)
            now = run_attention(layer.attention, x[:, t], keys, bias)
            asked, rest = now.tensor_split([self.queries], dim=1)
            if layer.has_cross_attention:
                asked = run_attention(layer.crossattention, asked, patches[t])
            after.append(torch.cat([asked, rest], dim=1))
        queries, text = torch.stack(after, dim=1).tensor_split([self.queries], dim=2)
        queries = layer.output_query(layer.intermediate_query(queries), queries)
        if text.shape[2]:
            text = layer.output(layer.intermediate(text), text)
        return torch.cat([queries, text], dim=2)


class Memory:
    """At most so many frames' tokens; the most alike neighbours at each place are averaged.

    Args:
        limit: Frames.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.tokens: list[Tensor] = []
        self.counts: list[Tensor] = []

    def add(self, tokens: Tensor) -> None:
        """Remembers a frame's float[B, P, C]."""
        self.tokens.append(tokens)
        self.counts.append(torch.ones_like(tokens[..., :1]))
        if len(self.tokens) > self.limit:
            self._merge()

    def _merge(self) -> None:
        bank, counts = torch.stack(self.tokens, dim=1), torch.stack(self.counts, dim=1)
        with torch.no_grad():
            alike = nn.functional.cosine_similarity(bank[:, :-1], bank[:, 1:], dim=-1)
            first = rearrange(alike.argmax(dim=1), "b p -> b 1 p 1")  # of the pair, at each place
        kept = len(self.tokens) - 1
        place = rearrange(torch.arange(kept, device=bank.device), "m -> 1 m 1 1")
        # the pair is averaged by how many frames each stands for; what follows moves up
        both = counts[:, :-1] + counts[:, 1:]
        mean = (bank[:, :-1] * counts[:, :-1] + bank[:, 1:] * counts[:, 1:]) / both
        merged, follows = place == first, place > first
        shifted = torch.where(follows, bank[:, 1:], bank[:, :-1])
        self.tokens = list(torch.where(merged, mean, shifted).unbind(dim=1))
        moved = torch.where(follows, counts[:, 1:], counts[:, :-1])
        self.counts = list(torch.where(merged, both, moved).unbind(dim=1))
