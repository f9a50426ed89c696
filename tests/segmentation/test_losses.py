"""The loss against torch's own and against a slow loop."""

import pytest
import torch
from torch.nn import functional

from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.losses import class_weights, frame_loss


def test_weights_are_max_over_count() -> None:
    assert class_weights(torch.tensor([100, 50, 10])).tolist() == [1, 2, 10]


def test_the_loss_is_torchs_weighted_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 9, 3), torch.randint(-1, 3, (2, 9))
    weights = torch.tensor([1.0, 4.0, 2.0])
    expected = functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), weights, ignore_index=UNSCORED
    )
    torch.testing.assert_close(frame_loss(logits, target, weights), expected)


@pytest.mark.parametrize('gamma', [0.5, 2.0])
def test_the_focal_loss_is_that_of_a_loop(gamma: float) -> None:
    torch.manual_seed(1)
    logits, target = torch.randn(1, 8, 3), torch.randint(-1, 3, (1, 8))
    weights = torch.tensor([1.0, 4.0, 2.0])
    total, share = 0.0, 0.0
    for row, label in zip(logits[0], target[0].tolist(), strict=True):
        if label != UNSCORED:
            p = torch.softmax(row, dim=0)[label]
            total += float(weights[label] * (1 - p) ** gamma * -torch.log(p))
            share += float(weights[label])
    found = frame_loss(logits, target, weights, gamma)
    assert float(found) == pytest.approx(total / share, rel=1e-5)


def test_nothing_scored_is_no_loss_and_no_gradient() -> None:
    logits = torch.randn(1, 4, 3, requires_grad=True)
    loss = frame_loss(logits, torch.full((1, 4), UNSCORED))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()
