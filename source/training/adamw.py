"""AdamW from scratch, a naive twin, and which weights decay. It is written to be read: torch's fused one is faster.

- Kingma and Ba (2015), Adam, algorithm 1: both averages and their bias correction.
- Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, algorithm 2: decay beside the gradient.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def adamw_step(
    p: Tensor,
    grad: Tensor,
    state: dict[str, object],
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.0,
) -> None:
    """One step of AdamW for one tensor, in place.

    p, grad: any one shape. state: {} before the first step; afterwards the number of steps and the two averages, which
    belong to this tensor alone. rate: of this step. decay: pulls p toward 0 by rate * decay of itself.
    """
    if not state:
        state.update(step=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
    state["step"] += 1
    m, v, t = state["m"], state["v"], state["step"]
    m.mul_(betas[0]).add_(grad, alpha=1 - betas[0])
    v.mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
    p.mul_(1 - rate * decay)  # first, so that the step of the gradient is not shrunk too
    # Both averages start at 0. Divided by the weight that the gradients seen so far have in them, they are averages.
    spread = v.sqrt() / math.sqrt(1 - betas[1] ** t) + eps
    p.addcdiv_(m, spread, value=-rate / (1 - betas[0] ** t))


def adamw_naive(
    values: Iterable[float],
    gradients: Iterable[Iterable[float]],
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.0,
) -> list[float]:
    """Where a list of numbers ends after one step for each list of gradients: algorithm 2, number by number."""
    p = [float(value) for value in values]
    m, v = [0.0] * len(p), [0.0] * len(p)
    for t, grad in enumerate(gradients, start=1):
        for i, g in enumerate(grad):
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g
            v[i] = betas[1] * v[i] + (1 - betas[1]) * g * g
            right_m, right_v = m[i] / (1 - betas[0] ** t), v[i] / (1 - betas[1] ** t)
            p[i] = p[i] - rate * right_m / (math.sqrt(right_v) + eps) - rate * decay * p[i]
    return p


class AdamW(torch.optim.Optimizer):
    """`adamw_step` for every parameter that has a gradient; groups, state_dict and zero_grad are torch's own.

    parameters: tensors, or groups {"params": [...], "weight_decay": ...} (see `decay_groups`).
    step: what is called for each tensor, so that another one with the arguments of `adamw_step` can be tried.
    Raises ValueError for a negative rate or eps, and for betas outside of [0, 1).
    """

    def __init__(
        self,
        parameters: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        step: Callable[..., None] = adamw_step,
    ) -> None:
        if lr < 0 or eps < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"lr {lr} and eps {eps} must be at least 0, and both betas {betas} in [0, 1)")
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self._step = step

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    self._step(p, p.grad, state, group["lr"], group["betas"], group["eps"], group["weight_decay"])


def decay_groups(model: nn.Module, decay: float) -> list[dict[str, object]]:
    """A model's trained weights in two groups for an optimizer: matrices decay; gains, biases and scalars do not.

    A weight that is used twice is in its group once; frozen ones are in neither.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
