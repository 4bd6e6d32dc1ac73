"""An interrupted stage that keeps checkpoints ends where an uninterrupted one does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mtrans.models.tiny.bridge import _Drawer
from mtrans.models.tiny.steps import optimise
from mtrans.video.worlds.stills import Question


class Stop(Exception):
    """The run was killed."""


class Kept:
    """Something that grows with the losses and changes them in turn."""

    def __init__(self) -> None:
        self.value = 0.0

    def state(self):
        return {"value": self.value}

    def restore(self, state):
        self.value = state["value"]


def train(folder, stop_at: int | None = None) -> tuple[torch.Tensor, float]:
    torch.manual_seed(0)
    layer, memory = nn.Linear(3, 2), Kept()

    def loss_of_step(step: int):
        if step == stop_at:
            raise Stop
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        loss = (layer(x) * (1 + memory.value)).square().mean()
        memory.value += 0.1 * float(loss.detach())
        return loss, {}

    optimise(
        layer.parameters(), loss_of_step, steps=12, learning_rate=0.1, log=folder / "log.jsonl",
        stage="test", bf16=False, every=2, check_every=4,
        checkpoint=folder / "test.ckpt", memory=memory,
    )  # fmt: skip
    return layer.weight.detach(), memory.value


def test_interrupted_stage_goes_on_exactly(tmp_path):
    whole, kept = train(tmp_path)
    assert not (tmp_path / "test.ckpt").exists()
    with pytest.raises(Stop):
        train(tmp_path, stop_at=10)
    assert (tmp_path / "test.ckpt").is_file()
    lines = len((tmp_path / "log.jsonl").read_text().splitlines())
    again, memory = train(tmp_path)
    assert torch.equal(whole, again)
    assert memory == kept
    # steps 9 to 12 only: two more lines
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == lines + 2


def test_drawer_goes_on_where_it_was():
    questions = [tuple(Question(t, f"{t} {i}", "yes") for t in ("a", "b")) for i in range(5)]
    drawer = _Drawer(questions, np.random.default_rng(0), 0.03)
    drawer.draw(3)
    drawer.learn(["a"], [0.1])
    other = _Drawer(questions, np.random.default_rng(1), 0.03)
    other.restore(drawer.state())
    first, second = drawer.draw(20), other.draw(20)
    assert first[0].tolist() == second[0].tolist()
    assert first[1] == second[1]
