"""What the new parts of the model do while they are trained: gates, routing, temperature."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mtrans.models.routing import Router
from mtrans.models.temporal import TemporalGate

_POSITION_NAMES = ("router", "temporal_gate", "position")


def is_position(name: str) -> bool:
    """Says of a trained parameter's name whether it is a temporal position, a gate or a router."""
    return "lora_" not in name and any(part in name for part in _POSITION_NAMES)


class Diagnostics:
    """Watches gates and routers of a model.

    Args:
        model: The assembled model.
    """

    def __init__(self, model: nn.Module):
        # PEFT keeps the untrained original beside the copy that is trained and used
        used = [m for n, m in model.named_modules() if not n.endswith("original_module")]
        self.gates = [m for m in used if isinstance(m, TemporalGate)]
        self.routers = [m for m in used if isinstance(m, Router)]
        self._alpha: dict[int, Tensor] = {}
        self._hooks = [
            router.register_forward_hook(self._keeper(place))
            for place, router in enumerate(self.routers)
        ]

    def _keeper(self, place: int) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self._alpha[place] = output.detach()

        return keep

    def values(self) -> dict[str, Any]:
        """Returns what the model has of gates, routing entropy and temperature.

        Returns:
            ``gate``, a number a layer; ``routing_entropy``, in nats, a number a router, mean over
            the last batch; ``temperature`` of hard routing.
        """
        values: dict[str, Any] = {}
        if self.gates:
            values["gate"] = [round(g.value.detach().item(), 5) for g in self.gates]
        if self._alpha:
            values["routing_entropy"] = [
                round(_entropy(self._alpha[place]), 5) for place in sorted(self._alpha)
            ]
        if any(router.hard for router in self.routers):
            values["temperature"] = round(self.routers[0].temperature, 5)
        return values

    def set_temperature(self, temperature: float) -> None:
        """Sets the Gumbel temperature of all routers."""
        for router in self.routers:
            router.temperature = temperature

    def close(self) -> None:
        """Takes the hooks off."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()


def annealed(start: float, end: float, done: float) -> float:
    """Returns the temperature after a share `done` of training, falling geometrically."""
    return float(start * (end / start) ** min(1.0, done))


def _entropy(alpha: Tensor) -> float:
    """Entropy of float[..., M] rows in nats, averaged over the rows."""
    return -torch.special.xlogy(alpha, alpha).sum(dim=-1).mean().item()
