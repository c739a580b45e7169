"""In which order windows are read: shuffled anew each epoch, resumable, shared among ranks. It reads no windows.

The whole order follows from (seed, epoch), and where one stands in it is a number. So the state to save is three
integers, however many windows there are. The permutation is computed, not stored: a Feistel network permutes a range
of a power of four, and whatever lands outside of `count` goes through it again until it lands inside (cycle-walking).

- Luby and Rackoff (1988), How to Construct Pseudorandom Permutations from Pseudorandom Functions.
- Black and Rogaway (2002), Ciphers with Arbitrary Finite Domains (cycle-walking).
"""

from dataclasses import dataclass

import numpy as np

ROUNDS = 8
_WORD = (1 << 64) - 1


def _mix(x: np.ndarray) -> np.ndarray:
    # The finaliser of SplitMix64: every bit of the input changes half of the output's bits. uint64 wraps around.
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _keys(seed: int, epoch: int) -> list[np.uint64]:
    return [np.uint64(int(word)) for word in np.random.SeedSequence((seed, epoch)).generate_state(ROUNDS, np.uint64)]


def _half_bits(count: int) -> int:
    # Both halves have as many bits; at least 3, as a network over a handful of values shuffles badly.
    return max(3, -(-(count - 1).bit_length() // 2))


def permuted(places: np.ndarray, count: int, seed: int, epoch: int) -> np.ndarray:
    """What stands at some places of the epoch's shuffled order of 0 to count - 1.

    places: any shape, int64, each in 0 to count - 1. Returns the same shape, int64. All places together give every
    number once. Raises ValueError for a count below 1, negative seeds or epochs, and places out of range.
    """
    places = np.asarray(places, dtype=np.int64)
    _check(places, count, seed, epoch)
    half = np.uint64(_half_bits(count))
    low = np.uint64((1 << int(half)) - 1)
    keys = _keys(seed, epoch)
    x = places.astype(np.uint64).ravel()
    outside = np.ones(len(x), dtype=bool)
    while outside.any():
        left, right = x[outside] >> half, x[outside] & low
        for key in keys:
            left, right = right, left ^ (_mix(right ^ key) & low)  # undone by the same step read backwards
        x[outside] = left << half | right
        outside = x >= count
    return x.astype(np.int64).reshape(places.shape)


def permuted_naive(place: int, count: int, seed: int, epoch: int) -> int:
    """`permuted` for one place, with Python's own integers."""
    _check(np.array([place]), count, seed, epoch)
    half = _half_bits(count)
    low = (1 << half) - 1
    x = place
    while True:
        left, right = x >> half, x & low
        for key in _keys(seed, epoch):
            mixed = right ^ int(key)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                mixed = ((mixed ^ (mixed >> shift)) * factor) & _WORD
            mixed ^= mixed >> 31
            left, right = right, left ^ (mixed & low)
        x = left << half | right
        if x < count:
            return x


def _check(places: np.ndarray, count: int, seed: int, epoch: int) -> None:
    if count < 1 or seed < 0 or epoch < 0:
        raise ValueError(f"count {count}, seed {seed}, epoch {epoch}: at least 1, 0 and 0 are needed")
    if places.size and not 0 <= places.min() <= places.max() < count:
        raise ValueError(f"places run from 0 to {count - 1}; {places.min()} to {places.max()} were asked for")


@dataclass
class Order:
    """Walks through the shuffled order, batch by batch, epoch by epoch. Every rank has one; together they share it.

    count: how many windows there are. rank: this process, of `ranks`. Each step takes `batch` windows a rank from
    the order; what is left over at an epoch's end is left out, and the next epoch leaves out others.
    (seed, epoch, position) is all of the state; position counts what all ranks have taken of the epoch. A run may go
    on with another number of ranks: as long as batch * ranks stays, each step takes the same windows as before.
    """

    count: int
    seed: int
    rank: int = 0
    ranks: int = 1
    epoch: int = 0
    position: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks:
            raise ValueError(f"rank {self.rank} of {self.ranks}: ranks are numbered from 0")

    def take(self, batch: int) -> np.ndarray:
        """This rank's next windows: (batch,), int64. Raises ValueError when an epoch is too short for one step."""
        step = batch * self.ranks
        if not 1 <= step <= self.count:
            raise ValueError(f"a step of {batch} windows on {self.ranks} ranks does not fit into {self.count} windows")
        if self.position + step > self.count:
            self.epoch, self.position = self.epoch + 1, 0
        mine = self.position + self.rank * batch + np.arange(batch)
        self.position += step
        return permuted(mine, self.count, self.seed, self.epoch)

    def state(self) -> dict[str, int]:
        """What to save beside the model's weights; the same on every rank."""
        return {"seed": self.seed, "epoch": self.epoch, "position": self.position}

    def resume(self, state: dict[str, int]) -> None:
        """Go on where `state` was taken. Raises ValueError for a position that these windows do not have."""
        if not 0 <= state["position"] <= self.count:
            raise ValueError(f"position {state['position']} of {self.count} windows: the state is of another file")
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]
