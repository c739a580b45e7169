"""Muon: matrices become nearly orthogonal, everything else is AdamW's."""

import pytest
import torch
from torch import nn

from source.training.adamw import AdamW
from source.training.muon import Muon, orthogonalised, orthogonalised_naive


@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (16, 4), (3, 5, 7)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    s = torch.linalg.svdvals(orthogonalised(torch.randn(shape)))
    assert s.min() > 0.5
    assert s.max() < 1.3


def test_it_points_where_the_exact_one_points():
    torch.manual_seed(1)
    G = torch.randn(6, 10) @ torch.diag(torch.logspace(0, -1, 10))
    ours, exact = orthogonalised(G), orthogonalised_naive(G)
    assert torch.cosine_similarity(ours.flatten(), exact.flatten(), dim=0) > 0.95
    assert torch.allclose(exact @ exact.T, torch.eye(6), atol=1e-5)


def test_the_scale_of_the_gradient_does_not_matter():
    G = torch.randn(5, 5, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(orthogonalised(G), orthogonalised(1000 * G), atol=1e-4)


def test_other_groups_are_adamws_and_matrices_move_by_the_rate():
    torch.manual_seed(0)
    matrix, vector, other = nn.Parameter(torch.zeros(4, 4)), nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    groups = [{"params": [matrix], "matrices": True}, {"params": [vector], "weight_decay": 0.1}]
    muon, adamw = Muon(groups, lr=0.1), AdamW([other], lr=0.1, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(3):
        matrix.grad = torch.randn(4, 4)
        vector.grad = other.grad = torch.randn(3)
        muon.step()
        adamw.step()
    assert torch.equal(vector, other)
    assert 0.05 < torch.linalg.svdvals(matrix.detach()).max() < 0.4


def test_a_vector_among_the_matrices_is_refused():
    with pytest.raises(ValueError, match="no matrix"):
        Muon([{"params": [nn.Parameter(torch.ones(3))], "matrices": True}])
