"""Positions told as a bias on attention's scores: T5's learned buckets and ALiBi's slopes. It rotates nothing.

Letters: T queries, S keys, H heads. Queries are the last T of S positions, as they are when keys come from a cache.

- Raffel et al. (2020), Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer,
  section 2.1.
- Press et al. (2022), Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation,
  section 3.
"""

import math

import torch
from torch import Tensor, nn


def distances(T: int, S: int, device: torch.device | None = None) -> Tensor:
    """(T, S) of int64: how far key s lies behind query t; negative for a key that comes later.

    Raises ValueError for more queries than keys.
    """
    if T > S:
        raise ValueError(f"{T} queries and {S} keys: the queries are the last of the positions, so T is at most S")
    keys = torch.arange(S, device=device)
    return keys[S - T :, None] - keys


def t5_bucket(distance: Tensor, buckets: int = 32, furthest: int = 128, both_ways: bool = False) -> Tensor:
    """The bucket of each distance, for a decoder: 0 for itself and all that comes later.

    Half of the buckets hold one distance each. The others grow by a constant factor up to `furthest`; what lies
    beyond shares the last one. distance: int64, any shape. Returns the same shape.

    both_ways: for an encoder, which sees what comes later too. The buckets are shared out: the lower half for what
    lies behind and for itself, the upper half for what comes later, each divided as above.
    """
    if both_ways:
        half = buckets // 2
        return t5_bucket(distance.abs(), half, furthest) + half * (distance < 0)
    back = distance.clamp(min=0)
    exact = buckets // 2
    # Distances below `exact` never take the logarithm's branch; the clamp keeps log 0 out of it.
    growth = torch.log(back.clamp(min=exact).double() / exact) / math.log(furthest / exact)
    grown = (exact + (growth * (buckets - exact)).long()).clamp(max=buckets - 1)
    return torch.where(back < exact, back, grown)


class T5Bias(nn.Module):
    """One learned number for each bucket and head, added to the scores: (T, S) sizes -> (H, T, S).

    both_ways: whether what comes later has buckets of its own (an encoder's) or none (a decoder's).
    """

    def __init__(self, heads: int, buckets: int = 32, furthest: int = 128, both_ways: bool = False) -> None:
        super().__init__()
        self.buckets, self.furthest, self.both_ways = buckets, furthest, both_ways
        self.table = nn.Embedding(buckets, heads)

    def forward(self, T: int, S: int) -> Tensor:
        places = t5_bucket(distances(T, S, self.table.weight.device), self.buckets, self.furthest, self.both_ways)
        return self.table(places).permute(2, 0, 1)  # (T, S, H) -> (H, T, S)


def t5_bias_naive(table: Tensor, T: int, S: int, furthest: int = 128, both_ways: bool = False) -> Tensor:
    """`T5Bias` with a table (buckets, H), one pair of positions at a time, its buckets found by counting up."""
    rows, H = table.shape
    buckets = rows // 2 if both_ways else rows
    exact = buckets // 2
    out = table.new_zeros(H, T, S)
    for t in range(T):
        for s in range(S):
            distance = S - T + t - s
            back = abs(distance) if both_ways else max(distance, 0)
            place = min(back, exact)
            # In whole numbers: back >= exact * (furthest / exact) ** (k / n), both sides to the power n.
            n = buckets - exact
            while place >= exact and place < buckets - 1:
                k = place + 1 - exact
                if back**n * exact**k < furthest**k * exact**n:
                    break
                place += 1
            out[:, t, s] = table[place + buckets if both_ways and distance < 0 else place]
    return out


def alibi_slopes(heads: int) -> Tensor:
    """(H,): a geometric sequence that ends at 2**-8, steepest head first, as in the paper's own code.

    For a number of heads that is no power of two, the sequence of the next smaller power, then every other slope of
    the next larger one.
    """
    if heads < 1:
        raise ValueError(f"{heads} heads: give at least one")
    whole = 2 ** int(math.log2(heads))
    slopes = [2 ** (-8 * (h + 1) / whole) for h in range(whole)]
    between = [2 ** (-8 * (h + 1) / (2 * whole)) for h in range(0, 2 * whole, 2)]
    return torch.tensor(slopes + between[: heads - whole])


def alibi_bias(heads: int, T: int, S: int, device: torch.device | None = None) -> Tensor:
    """(H, T, S): minus slope times distance; zero for keys that come later, which a causal mask hides."""
    slopes = alibi_slopes(heads).to(device)
    return -slopes.view(-1, 1, 1) * distances(T, S, device).clamp(min=0)  # (H, 1, 1) * (T, S) -> (H, T, S)


def alibi_bias_naive(heads: int, T: int, S: int) -> Tensor:
    """`alibi_bias`, one head and pair of positions at a time."""
    rows = [
        [[-slope * max(S - T + t - s, 0) for s in range(S)] for t in range(T)] for slope in alibi_slopes(heads).tolist()
    ]
    return torch.tensor(rows).reshape(heads, T, S)


def mean_by_distance(scores: Tensor) -> Tensor:
    """The mean score over all pairs at each distance: (..., T, T) -> (..., T). Later keys are left out."""
    T = scores.shape[-1]
    return torch.stack([scores.diagonal(-d, -2, -1).mean(-1) for d in range(T)], dim=-1)
