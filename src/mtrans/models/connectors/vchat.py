"""`vchat`: the Q-Former looks at the patches of all frames at once, with queries of its own for it.

    patches [B, T, P, Cv] + frame embedding + depthwise 3D convolution
      -> one sequence [B, T * P, Cv] -> Q-Former with Q + E queries and the text -> [B, Q + E, C]

Source: Li et al., "VideoChat: Chat-Centric Video Understanding" (2023) and "MVBench" (VideoChat2,
CVPR 2024): global aggregation of spatiotemporal tokens (UniFormerV2's dynamic position embedding,
then attention of learned queries to all tokens of the clip), extra queries, the instruction inside
the Q-Former. Ours: LoRA pairs in place of training the Q-Former, none on the LLM, and one block
behind the ViT in place of several inside it, so that its features can be cached.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import ClipBatch, Connector, Visual
from mtrans.models.connectors.blocks import FramePosition, as_grid, neighbours, only_there
from mtrans.models.st_qformer import plain_qformer
from mtrans.models.trained import TrainedWhole

EXTRA = 2
"""Extra queries for each pretrained one, as published (64 beside 32)."""


class VideoChat(Connector):
    """Global temporal aggregation, extra queries, text in the Q-Former."""

    about = "extra queries attend to all frames' patches at once, text inside"
    source = "VideoChat (2023), VideoChat2 (CVPR 2024)"
    has_lora = True
    dial = "lora.rank"

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        self.clip = plain_qformer(config, qformer, settings)
        width = self.vision_width
        self.frame_position = FramePosition(max_frames=settings.max_frames, width=width)
        self.mixing = Mixing(width)
        self.extra = ExtraQueries(EXTRA * self.queries, self.qformer_width)

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` of a clip of so many frames."""
        return (1 + EXTRA) * self.queries

    def forward(self, clips: ClipBatch) -> Visual:
        """Makes visual tokens.

        Args:
            clips: The batch.

        Returns:
            float[B, Q + E, C].
        """
        patches, mask = clips.patches, clips.frame_mask
        patches = self.mixing(self.frame_position(patches), mask)
        one = clips.but(
            query_tokens=self.extra(clips.query_tokens),
            patches=rearrange(patches, "b t p c -> b 1 (t p) c"),
            patch_mask=repeat(mask, "b t -> b 1 (t p)", p=patches.shape[2]),
            times=clips.times[:, :1],
            frame_mask=torch.ones_like(mask[:, :1]),
        )
        return Visual(self.clip(one).tokens)


class Mixing(TrainedWhole):
    """A depthwise convolution over time and picture, added; starts at zero.

    Args:
        width: ViT width `Cv`.
    """

    def __init__(self, width: int):
        super().__init__()
        self.convolution = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.reset_parameters()

    def special(self) -> None:
        """Zeroes the convolution."""
        nn.init.zeros_(self.convolution.weight)
        nn.init.zeros_(cast(Tensor, self.convolution.bias))

    def forward(self, patches: Tensor, frame_mask: Tensor) -> Tensor:
        """Mixes neighbours; CLS stays.

        Args:
            patches: float[B, T, P, Cv].
            frame_mask: bool[B, T].

        Returns:
            float[B, T, P, Cv].
        """
        x = only_there(patches, frame_mask).to(self.convolution.weight.dtype)
        mixed = rearrange(neighbours(as_grid(x), self.convolution), "b t c y x -> b t (y x) c")
        return patches + nn.functional.pad(mixed.to(patches.dtype), (0, 0, 1, 0))


class ExtraQueries(TrainedWhole):
    """Learned queries behind the pretrained ones.

    Args:
        count: `E`.
        width: Q-Former width `C`.
    """

    def __init__(self, count: int, width: int):
        super().__init__()
        self.query = nn.Parameter(torch.empty(count, width))
        self.reset_parameters()

    def special(self) -> None:
        """Draws them."""
        nn.init.normal_(self.query, std=0.5)

    def forward(self, pretrained: Tensor) -> Tensor:
        """Returns float[1, Q + E, C] of float[1, Q, C]."""
        own = rearrange(self.query, "q c -> 1 q c").to(pretrained.dtype)
        return torch.cat([pretrained, own], dim=1)
