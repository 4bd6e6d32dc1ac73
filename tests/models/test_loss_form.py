"""Label smoothing and focal weights of the answer's loss."""

from __future__ import annotations

import pytest
import torch

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.errors import SettingsError
from mtrans.core.settings import TrainSettings
from mtrans.models.answering import PLAIN, LossForm, answer_loss


def logits_and_targets():
    torch.manual_seed(0)
    return torch.randn(6, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.mark.parametrize("smooth", [0.0, 0.2])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_loss_is_the_written_out_sum(smooth, gamma):
    logits, targets = logits_and_targets()
    p = logits.float().softmax(dim=1)
    wanted = 0.0
    for row, target in zip(p, targets, strict=True):
        aim = torch.full((5,), smooth / 5)
        aim[target] += 1 - smooth
        wanted += float((1 - row[target]) ** gamma * -(aim * row.log()).sum())
    found = answer_loss(logits, targets, None, LossForm(smooth, gamma))
    assert float(found) == pytest.approx(wanted / 6, rel=1e-5)


def test_a_token_that_is_certain_keeps_finite_gradients():
    logits = torch.tensor([[200.0, 0.0], [0.3, 0.1]], requires_grad=True)
    answer_loss(logits, torch.tensor([0, 1]), None, LossForm(0.0, 0.5)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_form_counts_in_training_and_never_in_evaluation():
    model = tiny_video_model()
    batch = tiny_batch(model, frames=2, answer=2)
    plain = model.eval()(**batch).loss
    model.loss_form = LossForm(0.1, 2.0)
    assert torch.equal(model(**batch).loss, plain)
    assert not torch.isclose(model.train()(**batch).loss, plain, rtol=1e-3)
    model.loss_form = PLAIN
    assert torch.allclose(model(**batch).loss, plain, rtol=1e-4)


@pytest.mark.parametrize("wrong", [{"label_smoothing": 1.0}, {"focal_gamma": -1.0}])
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        TrainSettings(**wrong)
