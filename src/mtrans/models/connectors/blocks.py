"""Parts that several connectors are made of; plain numbers in, tensors out."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from mtrans.core.errors import SettingsError
from mtrans.models.attention import attend
from mtrans.models.routing import masked_bias
from mtrans.models.trained import TrainedWhole


class FramePosition(TrainedWhole):
    """A learned embedding per frame index, added to all tokens of the frame.

    Args:
        max_frames: Rows.
        width: Width of the tokens.
        scale: Standard deviation at the start.
    """

    def __init__(self, *, max_frames: int, width: int, scale: float = 0.02):
        super().__init__()
        self.scale = scale
        self.frame = nn.Parameter(torch.empty(max_frames, width))
        self.reset_parameters()

    def special(self) -> None:
        """Draws the rows."""
        nn.init.normal_(self.frame, std=self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the embeddings.

        Args:
            x: float[B, T, N, C].

        Returns:
            float[B, T, N, C].

        Raises:
            SettingsError: More frames than rows.
        """
        frames, rows = x.shape[1], self.frame.shape[0]
        if frames > rows:
            raise SettingsError(
                f"{frames} frames, but the connector's positions have {rows} rows; set"
                " model.max_frames higher"
            )
        return x + rearrange(self.frame[:frames], "t c -> t 1 c").to(x.dtype)


class Attention(nn.Module):
    """New multi-head attention.

    Args:
        width: Of what asks, and inside.
        heads: Attention heads.
    """

    def __init__(self, width: int, *, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, context: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attends.

        Args:
            x: float[B, N, C].
            context: float[B, M, C].
            bias: Additive float, broadcastable to [B, h, N, M], or None.

        Returns:
            float[B, N, C].
        """
        split = "b n (h d) -> b h n d"
        query = rearrange(self.query(x), split, h=self.heads)
        key = rearrange(self.key(context), split, h=self.heads)
        value = rearrange(self.value(context), split, h=self.heads)
        bias = None if bias is None else bias.to(query.dtype)
        mixed = attend(query, key, value, bias, 0.0)
        return cast(Tensor, self.output(rearrange(mixed, "b h n d -> b n (h d)")))


class Bottleneck(TrainedWhole):
    """Down, GELU, up; the way up starts at zero, so that an added one changes nothing at first.

    Args:
        width: Of the tokens.
        inner: Of the bottleneck.
    """

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        self.reset_parameters()

    def special(self) -> None:
        """Zeroes the way up."""
        zero(self.up)

    def forward(self, x: Tensor) -> Tensor:
        """Returns float[..., C] of float[..., C]."""
        hidden = nn.functional.gelu(self.down(x.to(self.down.weight.dtype)))
        return cast(Tensor, self.up(hidden).to(x.dtype))


def mlp(into: int, inner: int, out: int) -> nn.Sequential:
    """Two linear layers with a GELU between them."""
    return nn.Sequential(nn.Linear(into, inner), nn.GELU(), nn.Linear(inner, out))


def zero(layer: nn.Linear) -> None:
    """Makes a layer start at zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def as_grid(patches: Tensor, multiple: int = 1) -> Tensor:
    """Lays a frame's patches out as they stand in the picture, without CLS.

    Args:
        patches: float[B, T, P, Cv].
        multiple: Both sides are padded with zeros to a multiple of it.

    Returns:
        float[B, T, Cv, g, g].
    """
    side = math.isqrt(patches.shape[2] - 1)
    grid = rearrange(patches[:, :, 1:], "b t (y x) c -> b t c y x", y=side)
    more = -side % multiple
    return nn.functional.pad(grid, (0, more, 0, more)) if more else grid


def neighbours(grid: Tensor, convolution: nn.Conv3d, step: int | Tensor = 1) -> Tensor:
    """Runs a depthwise 3 x 3 x 3 convolution over time and picture, each moment as a picture.

    The same numbers as the layer gives by itself. On a CPU torch's convolution of pictures with the
    channels last, as patches lie there, took a sixth of the time, the way back included.

    Args:
        grid: float[B, T, C, g, g].
        convolution: Its weights float[C, 1, 3, 3, 3]; all around is padded with zeros.
        step: How many frames away a neighbour in time is; or int[B], of each clip.

    Returns:
        float[B, T, C, g, g].
    """
    x = rearrange(grid, "b t c y x -> (b t) c y x")
    before, now, after = (
        rearrange(
            nn.functional.conv2d(x, tap, padding=1, groups=x.shape[1]),
            "(b t) c y x -> b t c y x",
            t=grid.shape[1],
        )
        for tap in convolution.weight.unbind(dim=2)
    )
    moved = now + later(before, step) + later(after, -step)
    bias = cast(Tensor, convolution.bias).to(moved.dtype)
    return moved + rearrange(bias, "c -> c 1 1")


def later(x: Tensor, step: int | Tensor) -> Tensor:
    """Moves frames to later moments, zeros in their place.

    Args:
        x: float[B, T, ...].
        step: By how many frames, to earlier moments where negative; or int[B], of each clip.

    Returns:
        float[B, T, ...].
    """
    clips, frames = x.shape[:2]
    if isinstance(step, int):
        step = torch.full((clips,), step, device=x.device)
    source = torch.arange(frames, device=x.device) - step[:, None]
    there = (source >= 0) & (source < frames)
    clip = torch.arange(clips, device=x.device)[:, None]
    return only_there(x[clip, source.clamp(0, frames - 1)], there)


def only_there(x: Tensor, frame_mask: Tensor) -> Tensor:
    """Zeroes padded frames: float[B, T, ...] and bool[B, T] give float[B, T, ...].

    Or patches that are not to be seen, of float[B, T, P, ...] with bool[B, T, P].
    """
    shape = (*frame_mask.shape, *(1 for _ in x.shape[frame_mask.ndim :]))
    return x * frame_mask.view(shape).to(x.dtype)


def each(frame_mask: Tensor, tokens: int) -> Tensor:
    """Repeats a mask over frames for each token of a frame: bool[B, T] gives bool[B, T * n]."""
    return repeat(frame_mask, "b t -> b (t n)", n=tokens)


def hide(mask: Tensor, dtype: torch.dtype) -> Tensor | None:
    """Returns the additive float[B, 1, 1, M] that hides keys where bool[B, M] is false, or None."""
    return None if bool(mask.all()) else rearrange(masked_bias(mask, dtype), "b m -> b 1 1 m")


def run_attention(block: Any, asking: Tensor, seen: Tensor, bias: Tensor | None = None) -> Tensor:
    """Runs one of the pretrained Q-Former's attention blocks on keys of our choice.

    Args:
        block: transformers' Q-Former attention (self or cross), LoRA pairs included.
        asking: float[B, N, C].
        seen: float[B, M, C or Cv].
        bias: Additive float, broadcastable to [B, h, N, M], or None.

    Returns:
        float[B, N, C].
    """
    inner, split = block.attention, "b n (h d) -> b h n d"
    query = rearrange(inner.query(asking), split, h=inner.num_attention_heads)
    key = rearrange(inner.key(seen), split, h=inner.num_attention_heads)
    value = rearrange(inner.value(seen), split, h=inner.num_attention_heads)
    bias = None if bias is None else bias.to(query.dtype)
    drop = float(inner.attention_dropout) if block.training else 0.0
    mixed = attend(query, key, value, bias, drop)
    return cast(Tensor, block.output(rearrange(mixed, "b h n d -> b n (h d)"), asking))
