"""From queries of every frame to the LLM's visual tokens: (B, T, Q, C) -> (B, K, C)."""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from mtrans.models.routing import masked_bias
from mtrans.models.trained import TrainedWhole

Pool = Literal["mean", "last", "attention", "spread", "moments", "concat"]

SPREAD_START = (0.0, 5.0)
"""Slopes with which `spread` starts, query by query in turn: over the whole clip alike, and near
its end (e^5 times the weight of the first frame)."""

MOMENT_WIDTH = 0.2
"""Standard deviation, as a share of the clip's time, of the moments at which `moments` starts."""


class AttentionPool(TrainedWhole):
    """Weighs the frames of each query by a learned score; starts as the mean.

    Args:
        width: Q-Former width `C`.
    """

    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Starts with equal weights."""
        nn.init.zeros_(self.score)

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """Pools over frames.

        Args:
            x: float[B, T, Q, C].
            frame_mask: bool[B, T].

        Returns:
            float[B, Q, C].
        """
        score = x.to(self.score.dtype) @ self.score
        score = score + rearrange(masked_bias(frame_mask, score.dtype), "b t -> b t 1")
        return torch.einsum("btq,btqc->bqc", score.softmax(dim=1).to(x.dtype), x)


class TimedPool(TrainedWhole):
    """Weighs the frames of each query by what is seen and by when it is seen.

    Args:
        width: Q-Former width `C`.
        queries: Query tokens `Q`.
    """

    numbers: tuple[str, ...] = ()
    """Learned numbers that each query has."""

    def __init__(self, width: int, queries: int):
        super().__init__()
        self.score = nn.Parameter(torch.empty(width))
        for name in self.numbers:
            self.register_parameter(name, nn.Parameter(torch.empty(queries)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets what is learned to its start."""
        raise NotImplementedError

    def favoured(self, along: Tensor, queries: int) -> Tensor:
        """Scores moments, whatever is seen there.

        Args:
            along: float[B, T], relative time.
            queries: `Q`.

        Returns:
            float[B, T, Q].
        """
        raise NotImplementedError

    def forward(self, x: Tensor, frame_mask: Tensor, times: Tensor) -> Tensor:
        """Pools over frames.

        Args:
            x: float[B, T, Q, C]; more queries than slopes share them in turn.
            frame_mask: bool[B, T].
            times: float[B, T] in seconds; only their proportions matter.

        Returns:
            float[B, Q, C].
        """
        along = relative_time(frame_mask, times).to(self.score.dtype)
        score = x.to(self.score.dtype) @ self.score + self.favoured(along, x.shape[2])
        score = score + rearrange(masked_bias(frame_mask, score.dtype), "b t -> b t 1")
        return torch.einsum("btq,btqc->bqc", score.softmax(dim=1).to(x.dtype), x)


class SpreadPool(TimedPool):
    """Gives each query its own moments of the clip, so that the tokens together tell the order.

    ``softmax over frames of x . w + a_q * u``, `u` running from 0 at the first frame to 1 at the
    last, in time. One learned slope `a_q` a query, one learned `w[C]` for all, starting at 0. Half
    of the queries start as the mean over the clip, half near its end: of a clip and its reversal
    the mean is the same, and the last frame alone forgets what was before (docs/LOG.md).

    Args:
        width: Q-Former width `C`.
        queries: Query tokens `Q`.
    """

    numbers = ("slope",)
    slope: nn.Parameter

    def reset_parameters(self) -> None:
        """Sets the slopes to their start."""
        nn.init.zeros_(self.score)
        with torch.no_grad():
            for i, start in enumerate(SPREAD_START):
                self.slope[i :: len(SPREAD_START)] = start

    def favoured(self, along: Tensor, queries: int) -> Tensor:
        """As of :class:`TimedPool`."""
        return rearrange(along, "b t -> b t 1") * _in_turn(self.slope, queries)


class MomentsPool(TimedPool):
    """Gives each query its own moment of the clip: start, end, or any between, sharp or wide.

    ``softmax over frames of x . w + a_q * u - b_q * u^2``, `u` as in :class:`SpreadPool`: a bell
    over time with its middle at ``a_q / (2 b_q)``. Half of the queries start as the mean over the
    clip, the others at moments spread evenly from its start to its end. With slopes alone a query
    favours one of the clip's ends; steps in its middle were then told apart worse (docs/LOG.md).

    Args:
        width: Q-Former width `C`.
        queries: Query tokens `Q`.
    """

    numbers = ("slope", "bend")
    slope: nn.Parameter
    bend: nn.Parameter

    def reset_parameters(self) -> None:
        """Sets the moments to their start."""
        nn.init.zeros_(self.score)
        with torch.no_grad():
            bend = torch.zeros_like(self.bend)
            bend[1::2] = 1 / (2 * MOMENT_WIDTH**2)
            middle = torch.linspace(0, 1, len(bend[1::2]), device=bend.device)
            self.bend.copy_(bend)
            self.slope.zero_()
            self.slope[1::2] = 2 * bend[1::2] * middle

    def favoured(self, along: Tensor, queries: int) -> Tensor:
        """As of :class:`TimedPool`."""
        u = rearrange(along, "b t -> b t 1")
        return u * _in_turn(self.slope, queries) - u**2 * _in_turn(self.bend, queries)


def _in_turn(values: Tensor, queries: int) -> Tensor:
    """Returns float[Q] of float[n] values, which more queries than n share in turn."""
    return values.repeat(-(-queries // len(values)))[:queries]


def relative_time(frame_mask: Tensor, times: Tensor) -> Tensor:
    """Where each frame stands between the first (0) and the last (1) that are there.

    Args:
        frame_mask: bool[B, T].
        times: float[B, T] in seconds.

    Returns:
        float[B, T]; 0 throughout where all frames have one time, and for frames that are not there.
    """
    far = torch.finfo(times.dtype).max
    first = times.masked_fill(~frame_mask, far).amin(dim=1, keepdim=True)
    last = times.masked_fill(~frame_mask, -far).amax(dim=1, keepdim=True)
    length = (last - first).clamp(min=1e-6)
    return ((times - first) / length).clamp(0.0, 1.0) * frame_mask


def masked_mean(x: Tensor, frame_mask: Tensor) -> Tensor:
    """Mean over the frames that are there.

    Args:
        x: float[B, T, ...].
        frame_mask: bool[B, T].

    Returns:
        float[B, ...].
    """
    weight = frame_mask.to(x.dtype)
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("bt,bt...->b...", weight, x)


def pool_frames(
    x: Tensor,
    frame_mask: Tensor,
    *,
    pool: Pool,
    learned: nn.Module | None = None,
    times: Tensor | None = None,
) -> Tensor:
    """Makes the LLM's visual tokens.

    Args:
        x: float[B, T, Q, C].
        frame_mask: bool[B, T]; `concat` keeps masked frames' places for the LLM to ignore.
        pool: How.
        learned: The learned pool, for `attention`, `spread` and `moments`.
        times: float[B, T] in seconds, for `spread` and `moments`.

    Returns:
        float[B, K, C] with K = Q, or T * Q for `concat`.
    """
    if pool == "concat":
        return rearrange(x, "b t q c -> b (t q) c")
    if pool == "last":
        index = torch.arange(x.shape[1], device=x.device) * frame_mask
        return x[torch.arange(x.shape[0], device=x.device), index.argmax(dim=1)]
    if learned is not None:
        told = () if pool == "attention" else (times,)
        pooled: Tensor = learned(x, frame_mask, *told)
        return pooled
    return masked_mean(x, frame_mask)
