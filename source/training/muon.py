"""Muon: momentum whose matrix is made orthogonal before it is used, with AdamW for everything that is no matrix.

A gradient matrix has a few strong directions and many weak ones. Muon gives all of them the same strength: it replaces
U S V^T by about U V^T. Five products of matrices do it without computing U, S and V.

- Jordan et al. (2024), Muon: An optimizer for hidden layers in neural networks: the polynomial and its coefficients.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from source.training.adamw import adamw_step

# Each round maps every singular value s to a*s + b*s^3 + c*s^5: steep at 0, and it stays near 1 once it is there.
ROUNDS, A, B, C = 5, 3.4445, -4.7750, 2.0315


def orthogonalised(G: Tensor) -> Tensor:
    """A matrix with G's singular vectors and all singular values near 1 (0.7 to 1.2): (..., M, N) -> (..., M, N)."""
    X = G.transpose(-2, -1) if G.shape[-2] > G.shape[-1] else G  # the small side first: its square is smaller
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)  # no singular value above 1, or the polynomial runs away
    for _ in range(ROUNDS):
        S = X @ X.transpose(-2, -1)
        X = A * X + (B * S + C * S @ S) @ X
    return X.transpose(-2, -1) if G.shape[-2] > G.shape[-1] else X


def orthogonalised_naive(G: Tensor) -> Tensor:
    """What `orthogonalised` aims at, exactly: all singular values of one matrix (M, N) set to 1."""
    U, _, Vt = torch.linalg.svd(G, full_matrices=False)
    return U @ Vt


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for groups with "matrices": True, `adamw_step` for the others.

    groups: {"params": [...], "matrices": bool, "weight_decay": ...}. lr: of all; a group's "scale" is the loop's.
    momentum: Nesterov's, of the matrices. betas, eps: AdamW's.
    """

    def __init__(
        self,
        groups: Iterable[dict],
        lr: float = 0.02,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "matrices": False, "weight_decay": 0.0}
        super().__init__(groups, defaults)
        for group in self.param_groups:
            if group["matrices"] and any(p.ndim != 2 for p in group["params"]):
                raise ValueError('a group with "matrices": True holds something that is no matrix: split the group')

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            used = [p for p in group["params"] if p.grad is not None]
            if group["matrices"]:
                self._step_matrices(used, group)
            else:
                for p in used:
                    state = self.state[p]
                    adamw_step(p, p.grad, state, group["lr"], group["betas"], group["eps"], group["weight_decay"])

    def _step_matrices(self, parameters: list[Tensor], group: dict) -> None:
        by_shape: dict[tuple, list[Tensor]] = {}
        for p in parameters:
            by_shape.setdefault(tuple(p.shape), []).append(p)
        for (rows, columns), alike in by_shape.items():  # matrices of one shape go through the products together
            pulls = []
            for p in alike:
                average = self.state[p].setdefault("momentum", torch.zeros_like(p))
                average.lerp_(p.grad, 1 - group["momentum"])
                pulls.append(p.grad.lerp(average, group["momentum"]))
            moves = orthogonalised(torch.stack(pulls)) * max(1, rows / columns) ** 0.5
            for p, move in zip(alike, moves, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(move, alpha=-group["lr"])
