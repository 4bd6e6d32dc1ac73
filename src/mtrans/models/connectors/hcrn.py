"""`hcrn`: relations of few frames, conditioned on motion and question, level upon level.

    frames -> clips of four: relations given the clip's motion, then given the question -> a vector
    clips  -> relations given the video's motion, then given the question -> a vector -> classes

Source: Le et al., "Hierarchical Conditional Relation Networks for Video Question Answering", CVPR
2020: the conditional relation unit, its stacking, motion and question as conditions, a classifier.
Ours: relations among neighbouring frames in place of random subsets; motion is what changes from
frame to frame in the frozen ViT's features, where the original has a video network; a transformer
layer reads the question in place of a BiLSTM; relations are averaged, a clip's before clips are
related, where the authors' code weighs them by the question at the end; no gate in the question's
units; the mean of changes in place of an LSTM as the video's motion; video times question beside
both in the classifier; candidates are classes and are not read; no dropout; 64 wide (`model.width`)
in place of 512; clips of four frames in place of sixteen. So up to four frames are one clip, and
the second level, which relates clips, has nothing to relate: it wants twelve frames or more
(`frames.count`) to be whole.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import HEAD_WIDTH, ClipBatch, heads_of
from mtrans.models.connectors.heads import (
    AnswerHead,
    Crossing,
    Projected,
    frame_features,
    word_order,
)
from mtrans.models.pooling import masked_mean
from mtrans.models.trained import TrainedWhole

CLIP = 4
"""Frames of a clip."""

SIZES = (1, 2, 3)
"""How many neighbours a relation is of."""


class Hcrn(AnswerHead):
    """Two levels of conditional relations, and a classifier."""

    about = "relations of neighbouring frames given motion and question; a classifier"
    source = "HCRN, CVPR 2020"
    width_step = HEAD_WIDTH

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        inner = self.inner
        self.words = Projected(self.llm_width, inner)
        self.reader = Crossing(inner, heads=heads_of(inner), layers=1)
        self.look = Projected(2 * self.vision_width, inner)
        self.change = Projected(2 * self.vision_width, inner)
        self.near_motion, self.near_question = Relations(inner), Relations(inner)
        self.far_motion, self.far_question = Relations(inner), Relations(inner)

    @property
    def feature_width(self) -> int:
        """Width of what :meth:`features` gives."""
        return 3 * self.inner

    def features(self, clips: ClipBatch, text: Tensor, seen: Tensor) -> Tensor:
        """Sums up clip and question; see :meth:`AnswerHead.features`."""
        words = self.words(text)
        words = words + word_order(words.shape[1], words.shape[2], words)
        question = masked_mean(self.reader(words, None, seen), seen)
        raw, mask = frame_features(clips), clips.frame_mask
        more = -raw.shape[1] % CLIP
        raw = nn.functional.pad(raw, (0, 0, 0, more))
        mask = nn.functional.pad(mask, (0, more))
        change = self.change(raw[:, 1:] - raw[:, :-1])
        changes = mask[:, 1:] & mask[:, :-1]
        frames = rearrange(self.look(raw), "b (c n) d -> (b c) n d", n=CLIP)
        there = rearrange(mask, "b (c n) -> (b c) n", n=CLIP)
        # a clip's own changes; the step into the next clip is the video's alone
        inside = rearrange(
            nn.functional.pad(change, (0, 0, 0, 1)), "b (c n) d -> (b c) n d", n=CLIP
        )
        steps = rearrange(nn.functional.pad(changes, (0, 1)), "b (c n) -> (b c) n", n=CLIP)
        motion = masked_mean(inside[:, :-1], steps[:, :-1])
        asked = repeat(question, "b d -> (b c) d", c=raw.shape[1] // CLIP)
        near = _level(self.near_motion, self.near_question, frames, there, motion, asked)
        near = rearrange(near, "(b c) d -> b c d", b=len(raw))
        whole = rearrange(there.any(dim=1), "(b c) -> b c", b=len(raw))
        moved = masked_mean(change, changes)
        video = _level(self.far_motion, self.far_question, near, whole, moved, question)
        return torch.cat([video, question, video * question], dim=-1)


def _level(
    by_motion: nn.Module,
    by_question: nn.Module,
    things: Tensor,
    there: Tensor,
    motion: Tensor,
    question: Tensor,
) -> Tensor:
    """Relates float[n, N, d] given motion, then given the question; returns float[n, d]."""
    related, found = by_motion(things, there, motion)
    related, found = by_question(related, found, question)
    return masked_mean(related, found)


class Relations(TrainedWhole):
    """The conditional relation unit: for each size, neighbours' mean joined with the condition.

    Args:
        width: Of things and condition.
    """

    def __init__(self, width: int):
        super().__init__()
        self.joined = nn.ModuleList([nn.Linear(2 * width, width) for _ in SIZES])
        self.reset_parameters()

    def forward(self, things: Tensor, there: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Relates things.

        Args:
            things: float[n, N, d].
            there: bool[n, N], False at padding.
            condition: float[n, d].

        Returns:
            A relation of each size float[n, 3, d], and bool[n, 3] whether there is one.
        """
        made, found = [], []
        more = max(0, max(SIZES) - things.shape[1])
        things = nn.functional.pad(things, (0, 0, 0, more))
        there = nn.functional.pad(there, (0, more))
        for size, joined in zip(SIZES, self.joined, strict=True):
            group = things.unfold(1, size, 1).mean(dim=-1)
            whole = there.unfold(1, size, 1).all(dim=-1)
            given = repeat(condition, "n d -> n w d", w=group.shape[1])
            related = nn.functional.elu(joined(torch.cat([group, given], dim=-1)))
            made.append(masked_mean(related, whole))
            found.append(whole.any(dim=1))
        return cast(Tensor, torch.stack(made, dim=1)), torch.stack(found, dim=1)
