"""Small helpers with which checks make their inputs. The same seed gives the same tensors on every platform."""

import numpy as np
import torch


class Draw:
    """A seeded source of tensors. numpy's generator is stable across platforms; torch's is not promised to be."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32, scale: float = 1.0) -> torch.Tensor:
        """Gaussian entries with standard deviation `scale`."""
        return torch.from_numpy(np.asarray(self.rng.standard_normal(shape) * scale)).to(dtype)

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """int64 entries in [low, high)."""
        return torch.from_numpy(np.asarray(self.rng.integers(low, high, shape)))

    def chance(self, p: float, *shape: int) -> torch.Tensor:
        """Boolean entries, True with probability p."""
        return torch.from_numpy(np.asarray(self.rng.random(shape) < p))


def transposed(x: torch.Tensor) -> torch.Tensor:
    """The same values in column-major memory: `view` fails on it, `reshape` copies."""
    return x.transpose(-2, -1).contiguous().transpose(-2, -1)
