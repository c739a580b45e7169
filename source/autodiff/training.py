"""What a small model on the tape needs besides its graph: two tasks and Adam over arrays. It builds no model.

- Lang and Witbrock (1988), Learning to Tell Two Spirals Apart.
- Kingma and Ba (2015), Adam: A Method for Stochastic Optimization, algorithm 1.
"""

import numpy as np


def spirals(n: int, rng: np.random.Generator, arms: int = 3, noise: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """n points of each of some arms wound around each other: points (arms * n, 2) and which arm each is of."""
    radius = np.linspace(0.15, 1.0, n)
    points, arm = [], np.repeat(np.arange(arms), n)
    for k in range(arms):
        angle = 6.0 * radius + 2 * np.pi * k / arms + noise * rng.standard_normal(n)
        points.append(np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1))
    return np.concatenate(points), arm


def lookups(B: int, S: int, keys: int, values: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """B small dictionaries and a question for each: (keys (B, S), values (B, S), asked (B, 1), answer (B, 1)).

    The keys of a dictionary differ from each other. The answer is the value that stands beside the key asked for.
    Raises ValueError when there are fewer keys than places.
    """
    if keys < S:
        raise ValueError(f"{keys} different keys do not fill {S} places: ask for fewer places")
    held = np.argsort(rng.random((B, keys)), axis=-1)[:, :S]
    beside = rng.integers(values, size=(B, S))
    place = rng.integers(S, size=(B, 1))
    return held, beside, np.take_along_axis(held, place, -1), np.take_along_axis(beside, place, -1)


class Adam:
    """Adam without weight decay over a dict of arrays, which it changes in place. Same numbers as torch.optim.Adam."""

    def __init__(
        self, weights: dict[str, np.ndarray], rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.weights, self.rate, self.betas, self.eps = weights, rate, betas, eps
        self.first = {name: np.zeros_like(w) for name, w in weights.items()}
        self.second = {name: np.zeros_like(w) for name, w in weights.items()}
        self.steps = 0

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        """One step down. gradients: one array for each weight, under its name."""
        self.steps += 1
        b1, b2 = self.betas
        for name, weight in self.weights.items():
            g = gradients[name]
            self.first[name] = b1 * self.first[name] + (1 - b1) * g
            self.second[name] = b2 * self.second[name] + (1 - b2) * g * g
            spread = np.sqrt(self.second[name] / (1 - b2**self.steps)) + self.eps
            weight -= self.rate * (self.first[name] / (1 - b1**self.steps)) / spread
