"""Frozen parts stay as the image model was, also while the rest trains."""

from __future__ import annotations

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer


def is_frozen(part: nn.Module) -> bool:
    """Whether nothing in `part` is trained."""
    return not any(parameter.requires_grad for parameter in part.parameters())


def hold_still(part: nn.Module) -> None:
    """Puts a frozen part into evaluation mode: no dropout, no dropped layer.

    Its layers alone are told that training goes on, since transformers recomputes activations
    (`train.gradient_checkpointing`) only in such layers; dropout of their own (OPT) is set to 0.

    Args:
        part: ViT, LLM or Q-Former.
    """
    part.eval()
    for layer in part.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.training = True
            for name in ("dropout", "activation_dropout"):
                if isinstance(getattr(layer, name, None), float):
                    setattr(layer, name, 0.0)
