"""What the optimizer is told, on a toy model."""

from __future__ import annotations

from mtrans.core.settings import TrainSettings
from mtrans.train.arguments import parameter_groups

from .toy import Toy


def test_positions_and_gates_have_their_own_rate_and_no_decay() -> None:
    model = Toy()
    settings = TrainSettings(learning_rate=1e-3, position_learning_rate=0.5, weight_decay=0.1)
    groups = parameter_groups(model, settings, lambda name: "gate" in name)
    of = {id(p): g for g in groups for p in g["params"]}
    assert (of[id(model.gate)]["lr"], of[id(model.gate)]["weight_decay"]) == (0.5, 0.0)
    assert (of[id(model.up.weight)]["lr"], of[id(model.up.weight)]["weight_decay"]) == (1e-3, 0.1)
    assert of[id(model.up.bias)]["weight_decay"] == 0.0
    assert id(model.frozen.weight) not in of
    assert groups[0]["lr"] == 1e-3
