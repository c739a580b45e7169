"""Measures bytes: what autograd keeps for the backward pass, and what is in use from one operation to the next.

It counts the memory of tensors, not what a kernel borrows while it runs; `torch.cuda.max_memory_allocated` counts that.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode


def saved_bytes(run: Callable[[], object], parameters: Iterable[Tensor] = ()) -> int:
    """Bytes that autograd keeps for the backward pass of what `run` computes, those of the parameters left out.

    run: a forward pass, without arguments. Memory counts once however often it is saved, and whole if a part is saved.
    """
    own = {p.untyped_storage().data_ptr() for p in parameters}
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = run()  # held until the end: memory given back could be handed out a second time, under the same address
    total = sum(kept.values())
    del out
    return total


def saved_bytes_naive(out: Tensor, parameters: Iterable[Tensor] = ()) -> int:
    """The same, found by walking the finished graph behind `out` and reading what each of its nodes has saved."""
    own = {p.untyped_storage().data_ptr() for p in parameters}
    kept: dict[int, int] = {}
    left, seen = [out.grad_fn], set()
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        left.extend(before for before, _ in node.next_functions)
        for name in dir(node):
            saved = getattr(node, name) if name.startswith("_saved_") else None
            for x in saved if isinstance(saved, tuple | list) else [saved]:
                if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in own:
                    kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
    return sum(kept.values())


class Timeline(TorchDispatchMode):
    """Inside `with Timeline() as line`, `line.bytes` grows by one entry an operation: the bytes then in use.

    Only tensors made inside count. Backward passes and optimizer steps are seen as well, since they are operations too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes: list[int] = []
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first operator loads torch's compiler: seconds

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {x.untyped_storage().data_ptr() for x in _tensors([args, kwargs or {}])}
        out = func(*args, **(kwargs or {}))
        self._live = {at: (ref, size) for at, (ref, size) in self._live.items() if not ref.expired()}
        for x in _tensors(out):
            storage = x.untyped_storage()
            if storage.data_ptr() not in given and storage.nbytes():  # a view makes nothing
                self._live[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        self.bytes.append(sum(size for _, size in self._live.values()))
        return out


def _tensors(tree: object) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        return [x for part in tree for x in _tensors(part)]
    return []
