"""Measures how many numbers a piece of work holds at once: every tensor that torch makes, until nothing refers to it.

It counts what tensors occupy, on any device; not what a kernel uses inside, and not what the allocator keeps back.
"""

import weakref
from collections.abc import Callable

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(work: Callable[[], object]) -> int:
    """The most bytes that tensors made while `work` runs occupy at one time. What was there before does not count."""
    with _Watch() as watch:
        work()
    return watch.peak


class _Watch(TorchDispatchMode):
    # Below autograd, so it also sees what the backward pass makes. A view shares its storage and counts nothing.
    def __init__(self) -> None:
        super().__init__()
        self.live, self.peak = 0, 0
        self.known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first operator loads torch's compiler: seconds

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        before = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs or {})) if isinstance(t, Tensor)}
        made = func(*args, **(kwargs or {}))
        for t in tree_leaves(made):
            if isinstance(t, Tensor) and t.untyped_storage()._cdata not in before | self.known:
                self._enter(t)
        self.peak = max(self.peak, self.live)
        return made

    def _enter(self, t: Tensor) -> None:
        storage = t.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        self.known.add(key)
        self.live += size
        weakref.finalize(storage, self._leave, key, size)

    def _leave(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size
