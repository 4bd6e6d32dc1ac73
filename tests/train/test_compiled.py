"""Compiled layers compute what plain ones do, and their parameters keep their names."""

from __future__ import annotations

import pytest
import torch

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.settings import LoraSettings
from mtrans.models.flops import count_flops
from mtrans.models.lora import attach_adapter
from mtrans.train.compiled import compile_layers


@pytest.mark.slow  # half a minute of building
# dynamo looks at what it is given, and torch warns of its look
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_compiled_layers_give_the_same_loss_and_gradients():
    torch.manual_seed(0)
    model = attach_adapter(tiny_video_model(), LoraSettings(rank=2)).train()
    base = model.get_base_model()
    given = tiny_batch(base, answer=2)
    names = list(model.state_dict())
    trained = [p for p in model.parameters() if p.requires_grad]

    def step():
        loss = model(**given).loss
        return loss.detach(), torch.autograd.grad(loss, trained, allow_unused=True)

    loss, gradients = step()
    counted = count_flops(model, given, backward=True)
    layers = compile_layers(model, backend="eager")
    assert layers == 2 + 4  # of the LLM and of the Q-Former
    again, found = step()
    assert again.item() == pytest.approx(loss.item(), abs=1e-6)
    for a, b in zip(gradients, found, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b)
    assert list(model.state_dict()) == names
    assert count_flops(model, given, backward=True) == counted
