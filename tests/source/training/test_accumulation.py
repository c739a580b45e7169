"""Accumulated gradients equal the large batch's, whatever the pieces count."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from source.training.accumulation import accumulate, accumulate_naive, mean_of_means


def a_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(7, 4), nn.Tanh(), nn.Linear(4, 7)).double()


def a_batch(counts, T=6):
    generator = torch.Generator().manual_seed(1)
    ids, targets = (torch.randint(7, (len(counts), T), generator=generator) for _ in range(2))
    keep = torch.arange(T) < torch.tensor(counts)[:, None]
    return ids, torch.where(keep, targets, -100)


def gradients(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("counts", [[6, 6, 6, 6, 6], [6, 1, 0, 3, 5], [0, 0, 2, 0, 0]])
def test_pieces_give_the_large_batchs_gradient(rows, counts):
    ids, targets = a_batch(counts)
    large, small, naive = a_model(), a_model(), a_model()
    loss = F.cross_entropy(large(ids).flatten(0, 1), targets.flatten())
    loss.backward()
    pieces = list(zip(ids.split(rows), targets.split(rows), strict=True))
    assert accumulate(small, pieces) == pytest.approx(loss.item(), abs=1e-12)
    assert accumulate_naive(naive, pieces) == pytest.approx(loss.item(), abs=1e-12)
    assert torch.allclose(gradients(small), gradients(large), atol=1e-14)
    assert torch.allclose(gradients(naive), gradients(large), atol=1e-14)


def test_pieces_may_have_different_widths():
    one, two = a_batch([2, 3], T=3), a_batch([7], T=8)
    fast, slow = a_model(), a_model()
    assert accumulate(fast, [one, two]) == pytest.approx(accumulate_naive(slow, [one, two]))
    assert torch.allclose(gradients(fast), gradients(slow), atol=1e-14)


def test_nothing_counted_is_a_loss_of_zero():
    model = a_model()
    assert accumulate(model, [a_batch([0, 0])]) == accumulate(model, []) == 0.0
    assert all(p.grad is None for p in model.parameters())


def test_the_mean_of_means_is_another_gradient():
    ids, targets = a_batch([6, 1, 6, 6, 6])
    pieces = list(zip(ids.split(1), targets.split(1), strict=True))
    right, wrong = a_model(), a_model()
    accumulate(right, pieces)
    mean_of_means(wrong, pieces)
    assert (gradients(right) - gradients(wrong)).norm() > 0.05 * gradients(right).norm()
