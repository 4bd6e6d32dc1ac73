"""Base of designs that answer by themselves: classes in place of the LLM.

    prompt's tokens (the LLM's frozen embeddings) + frozen patches -> features -> a score a class

They come from a time before LLMs read visual tokens. Their classes are the answers and candidates
of the training data; the list is kept with the adapter. A candidate that is no class can't be
chosen.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from mtrans.core.settings import ModelSettings
from mtrans.models.connectors.base import ClipBatch, Connector
from mtrans.models.connectors.blocks import Attention, hide, mlp
from mtrans.models.trained import TrainedWhole

INNER = 64
"""Inner width where `model.width` says nothing."""


class AnswerHead(Connector):
    """Base of connectors with a classifier of their own; gives the LLM nothing."""

    answers_itself = True

    def __init__(self, config: Any, qformer: nn.Module, settings: ModelSettings):
        super().__init__(config, qformer, settings)
        self.inner = self.width_or(INNER)
        self.classifier: Classifier | None = None

    @property
    def feature_width(self) -> int:
        """Width of what :meth:`features` gives."""
        return self.inner

    def visual_tokens(self, frames: int) -> int:
        """Visual tokens `K` of a clip: the LLM sees none."""
        return 0

    def classify(self, classes: int) -> None:
        """Gets a classifier of so many classes, in place of any other."""
        self.classifier = Classifier(self.feature_width, classes)

    def features(self, clips: ClipBatch, text: Tensor, seen: Tensor) -> Tensor:
        """Sums up clip and question.

        Args:
            clips: The batch.
            text: float[B, L, D], the LLM's embeddings of the prompt, padding at the end.
            seen: bool[B, L], False at padding.

        Returns:
            float[B, feature_width].
        """
        raise NotImplementedError

    def forward(  # type: ignore[override]
        self, clips: ClipBatch, text: Tensor, seen: Tensor
    ) -> Tensor:
        """Returns the log-probabilities float[B, n] of the classes; arguments as `features`."""
        assert self.classifier is not None
        found = self.classifier(self.features(clips, text, seen))
        exact = torch.promote_types(found.dtype, torch.float32)
        return cast(Tensor, found.to(exact).log_softmax(dim=-1))


class Classifier(TrainedWhole):
    """Two linear layers.

    Args:
        width: Of the features.
        classes: How many.
    """

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.layers = mlp(width, width, classes)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Returns float[B, n] of float[B, C]."""
        return cast(Tensor, self.layers(x))


class Projected(TrainedWhole):
    """LayerNorm and a linear layer to the inner width, in the dtype of its weights.

    Args:
        width: Of the input.
        inner: Of the output.
    """

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(width), nn.Linear(width, inner)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Returns float[..., inner] of float[..., width]."""
        return cast(Tensor, self.linear(self.norm(x.to(self.norm.weight.dtype))))


class Crossing(TrainedWhole):
    """Transformer layers in which one sequence looks at another, or at itself.

    Args:
        width: Of both.
        heads: Attention heads.
        layers: How many.
    """

    def __init__(self, width: int, *, heads: int, layers: int):
        super().__init__()
        self.attention = nn.ModuleList([Attention(width, heads=heads) for _ in range(layers)])
        self.feed = nn.ModuleList([mlp(width, 4 * width, width) for _ in range(layers)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2 * layers)])
        self.reset_parameters()

    def forward(self, x: Tensor, context: Tensor | None, seen: Tensor) -> Tensor:
        """Lets `x` look.

        Args:
            x: float[B, N, C].
            context: float[B, M, C]; None looks at `x` itself.
            seen: bool[B, M], or bool[B, N] of `x` itself.

        Returns:
            float[B, N, C].
        """
        bias = hide(seen, x.dtype)
        for i, (attention, feed) in enumerate(zip(self.attention, self.feed, strict=True)):
            asked = self.norms[2 * i](x)
            x = x + attention(asked, asked if context is None else context, bias)
            x = x + feed(self.norms[2 * i + 1](x))
        return x


def frame_features(clips: ClipBatch) -> Tensor:
    """Sums up each frame: float[B, T, 2 Cv], CLS and the mean over patches."""
    # what changes between frames is a small difference of large numbers
    patches = clips.patches.to(torch.promote_types(clips.patches.dtype, torch.float32))
    return torch.cat([patches[:, :, 0], patches[:, :, 1:].mean(dim=2)], dim=-1)


def word_order(length: int, width: int, like: Tensor) -> Tensor:
    """Returns fixed sinusoids float[1, L, C] that tell places in a text apart."""
    place = rearrange(torch.arange(length, device=like.device).float(), "l -> l 1")
    rate = 10_000 ** (-torch.arange(0, width, 2, device=like.device).float() / width)
    waves = torch.cat([(place * rate).sin(), (place * rate).cos()], dim=-1)[:, :width]
    return rearrange(waves, "l c -> 1 l c").to(like.dtype)
