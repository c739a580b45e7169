"""Scaling laws: the loss that size and data predict, the best split of a budget, and fits to runs. It trains nothing.

N counts parameters, D counts training tokens, C counts floating-point operations, with C = 6 N D.

- Hoffmann et al. (2022), Training Compute-Optimal Large Language Models: approaches 2 and 3, appendix D.
- Besiroglu et al. (2024), Chinchilla Scaling: A Replication Attempt.
- Kaplan et al. (2020), Scaling Laws for Neural Language Models: C = 6 N D, section 2.1.
"""

import json
import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from source.files import data_path

DELTA = 1e-3  # where Huber's price turns from a square into a line, in log loss (Hoffmann et al., appendix D.2)


@dataclass(frozen=True)
class Law:
    """L(N, D) = E + A / N^alpha + B / D^beta: what no model avoids, what too small a model and too few tokens cost."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def loss(self, N: np.ndarray | float, D: np.ndarray | float) -> np.ndarray | float:
        """The loss in nats a token, for any shapes of N and D that broadcast."""
        return self.E + self.A / N**self.alpha + self.B / D**self.beta


# The same fit of 2022 as the paper's text prints it and as its TeX source holds it, and the refit of 2024, table 1.
PUBLISHED = Law(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
UNROUNDED = Law(E=1.6934, A=406.4, B=410.7, alpha=0.3392, beta=0.2849)
REFIT = Law(E=1.8172, A=482.01, B=2085.43, alpha=0.3478, beta=0.3658)


def compute_optimal(law: Law, C: np.ndarray | float) -> tuple[np.ndarray | float, np.ndarray | float]:
    """N and D of the lowest loss that C operations can buy, in closed form. C: any shape. Returns two of that shape.

    On the line 6 N D = C the derivative of the loss by log N vanishes where alpha A / N^alpha = beta B / D^beta.
    """
    G = (law.alpha * law.A / (law.beta * law.B)) ** (1 / (law.alpha + law.beta))
    N = G * (C / 6) ** (law.beta / (law.alpha + law.beta))
    return N, C / (6 * N)


def compute_optimal_by_search(law: Law, C: float, points: int = 200_001) -> tuple[float, float]:
    """The naive twin of compute_optimal: the best of many sizes between one parameter and C / 6 of them."""
    N = np.exp(np.linspace(0, np.log(C / 6), points))
    best = N[np.argmin(law.loss(N, C / (6 * N)))]
    return float(best), float(C / (6 * best))


def parabola(N: np.ndarray, loss: np.ndarray) -> tuple[float, float, float, float]:
    """The least-squares parabola in log N through the runs (n,) of one budget: (a, b, c, middle).

    In u = log N - middle it is a u^2 + b u + c; middle is the mean of log N, which keeps the three well apart.
    """
    x = np.log(N)
    a, b, c = np.polyfit(x - x.mean(), loss, 2)
    return float(a), float(b), float(c), float(x.mean())


def parabola_at(N: np.ndarray, loss: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The values of the parabola through runs (n,) at other sizes, any shape: what a plot draws."""
    a, b, c, middle = parabola(N, loss)
    return np.polyval((a, b, c), np.log(sizes) - middle)


def isoflop_minimum(N: np.ndarray, loss: np.ndarray) -> tuple[float, float]:
    """The lowest point of a parabola in log N through runs of one budget: (N there, loss there).

    N, loss: (n,) with n >= 3, in any order. Raises ValueError where the parabola has no lowest point, or where that
    lies outside the sizes that were trained: then the runs do not say what is best.
    """
    if len(N) < 3:
        raise ValueError(f"{len(N)} runs determine no parabola: a slice needs at least three runs")
    a, b, c, middle = parabola(N, loss)
    if a <= 0:
        raise ValueError("the losses do not curve upwards: no size is best among these")
    lowest = middle - b / (2 * a)
    if not np.log(np.min(N)) <= lowest <= np.log(np.max(N)):
        raise ValueError("the lowest point lies outside the sizes that were trained: train smaller or larger ones")
    return math.exp(lowest), c - b**2 / (4 * a)


def frontier(N: np.ndarray, D: np.ndarray, loss: np.ndarray, slices: np.ndarray) -> tuple[float, float, int]:
    """N* = k C^a through the minima of several isoFLOP slices: (a, log k, slices used), by least squares in logs.

    N, D, loss: (n,) all runs. slices: (n,), which budget a run belongs to. A slice without a minimum inside says
    nothing and is left out. Raises ValueError when fewer than two are left.
    """
    best, budgets = [], []
    for name in np.unique(slices):
        mine = slices == name
        try:
            best.append(np.log(isoflop_minimum(N[mine], loss[mine])[0]))
        except ValueError:
            continue
        budgets.append(np.log(6 * N[mine] * D[mine]).mean())
    if len(best) < 2:
        raise ValueError("fewer than two slices have a minimum inside: no line goes through them")
    a, k = np.polyfit(budgets, best, 1)
    return float(a), float(k), len(best)


def fit_objective(theta: Tensor, N: Tensor, D: Tensor, loss: Tensor, delta: float = DELTA) -> Tensor:
    """What a fit minimises: the sum over runs of Huber's price of log predicted minus log measured loss.

    theta: (5,) = log A, log B, log E, alpha, beta, so that none can turn negative that must not. N, D, loss: (n,).
    """
    a, b, e, alpha, beta = theta
    terms = torch.stack([a - alpha * N.log(), b - beta * D.log(), e.expand_as(N)])  # (3, n)
    return torch.nn.functional.huber_loss(terms.logsumexp(0), loss.log(), reduction="sum", delta=delta)


def starts() -> Tensor:
    """A small grid of first guesses (16, 5), in the order of fit_objective's theta."""
    grid = product((2.0, 8.0), (2.0, 8.0), (-0.5, 0.5), ((0.2, 0.2), (0.5, 0.5)))
    return torch.tensor([[a, b, e, *exponents] for a, b, e, exponents in grid], dtype=torch.float64)


def fit(N: Tensor, D: Tensor, loss: Tensor, starts: Tensor, delta: float = DELTA) -> Law:
    """The law that fits the runs best: fit_objective minimised from each start by L-BFGS, the lowest end kept.

    N, D, loss: (n,). starts: (m, 5). Computed in float64: the valley is long and flat. Raises ValueError when every
    start ends in NaN.
    """
    # Prices are about delta squared: torch's own tolerances would stop at the first guess.
    return _lowest(N, D, loss, starts, delta, 1 / delta, {"tolerance_grad": 1e-12, "tolerance_change": 1e-15})


def fit_hastily(N: Tensor, D: Tensor, loss: Tensor, starts: Tensor, delta: float = DELTA) -> Law:
    """The same, wrong as in 2022: the mean of the prices, and an optimizer whose tolerances are larger than those."""
    return _lowest(N, D, loss, starts, delta, 1 / len(N), {})


def _lowest(
    N: Tensor, D: Tensor, loss: Tensor, starts: Tensor, delta: float, scale: float, tolerances: dict[str, float]
) -> Law:
    N, D, loss = N.double(), D.double(), loss.double()
    lowest, best = math.inf, None
    for start in starts.double():
        theta = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([theta], max_iter=2000, line_search_fn="strong_wolfe", **tolerances)

        def price(theta: Tensor = theta, optimizer: torch.optim.LBFGS = optimizer) -> Tensor:
            optimizer.zero_grad()
            value = scale * fit_objective(theta, N, D, loss, delta)
            value.backward()
            return value

        optimizer.step(price)
        end = price().item()
        if end < lowest:
            lowest, best = end, theta.detach()
    if best is None:
        raise ValueError("every start ended in NaN: give starts whose first predictions are near the losses")
    a, b, e, alpha, beta = best.tolist()
    return Law(E=math.exp(e), A=math.exp(a), B=math.exp(b), alpha=alpha, beta=beta)


def ladder(seed: int | None = None) -> dict[str, np.ndarray]:
    """The recorded runs of `python -m source.train_ladder`, one array (n,) a column, for one seed or for all.

    Columns: those of the file, and N = blocks + token (all that multiplies), D = tokens.
    Raises FileNotFoundError when this copy of the course lacks the record.
    """
    runs = json.loads(data_path("results/scaling_ladder.json").read_text(encoding="utf-8"))["runs"]
    runs = [run for run in runs if seed is None or run["seed"] == seed]
    found = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    return found | {"N": (found["blocks"] + found["token"]).astype(float), "D": found["tokens"].astype(float)}
