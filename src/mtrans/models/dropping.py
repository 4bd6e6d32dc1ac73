"""Dropout whose random numbers cost little on a CPU.

Torch's own draw was measured at 5 ns an element there: 12 % of a training step with InstructBLIP's
dropout of 0.1. Here a 64-bit number serves four elements, 16 bits each, and comes from numpy's
SFC64, in a third of the time that torch's Mersenne twister takes for it. So a probability is met to
within 2^-17. Each draw is seeded by a number of torch's generator: seeds, resumed runs and
recomputed activations mean what they mean elsewhere.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS = 2**16
"""Different values of 16 random bits."""


def drop(x: Tensor, p: float) -> Tensor:
    """Sets elements to zero and scales the others, as `torch.nn.functional.dropout` in training.

    Args:
        x: float[...].
        p: Probability of a zero.

    Returns:
        float[...].
    """
    if not p or x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p)
    return x * noise_like(x, p)


def noise_like(x: Tensor, p: float) -> Tensor:
    """Draws what dropout multiplies with.

    Args:
        x: float[...], whose shape, dtype and device are taken.
        p: Probability of a zero.

    Returns:
        float[...] of zeros and 1 / (1 - p).
    """
    dropped = round(p * STEPS)
    if x.device.type != "cpu" or not 0 < dropped < STEPS:
        return F.dropout(torch.ones_like(x), p)
    ones, scale = kept(x.shape, dropped), 1 / (1 - p)
    if x.element_size() != 2:
        return ones.to(x.dtype).mul_(scale)
    bits = int(torch.tensor(scale, dtype=x.dtype).view(torch.int16))
    return ones.mul_(bits).view(x.dtype)  # a number's bits or none: nothing is converted


def kept(shape: torch.Size, dropped: int) -> Tensor:
    """Draws what is kept.

    Args:
        shape: Of the result.
        dropped: Zeros among 65,536, on average; from 1 to 65,535.

    Returns:
        int16[shape] of zeros and ones.
    """
    count = shape.numel()
    source = np.random.SFC64(int(torch.randint(2**63 - 1, ())))
    drawn = torch.from_numpy(source.random_raw(-(-count // 4)).view(np.int64))
    last = dropped - 1 - STEPS // 2  # the highest of the 16-bit numbers that mean a zero
    return drawn.view(torch.int16)[:count].clamp_(last, last + 1).sub_(last).view(shape)


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` by :func:`drop`."""

    def forward(self, x: Tensor) -> Tensor:
        """Drops in training mode.

        Args:
            x: float[...].

        Returns:
            float[...].
        """
        return drop(x, self.p) if self.training else x


def take_over_dropout(part: nn.Module) -> None:
    """Replaces torch's dropout layers inside a module, which stand for nothing in its state."""
    for module in list(part.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))
