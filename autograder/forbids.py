"""Notices calls of library functions that would hand the answer over, whatever name they are called by."""

import sys
from types import FrameType
from typing import Any

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Where the compiled operator does not carry the public function's name.
_OPERATORS = {
    "scaled_dot_product_attention": "scaled_dot_product",
    "multi_head_attention_forward": "_native_multi_head",
}


class ForbiddenCall(Exception):
    """Raised inside the student's code at the forbidden call."""


class Watch:
    """Inside `with Watch(names) as watch` a forbidden call raises; `watch.fired` keeps it even if it was caught.

    names: torch functions ("softmax"), or the course's own with their full path
    ("source.attention.dot_product.attention").
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.fired: list[str] = []
        self._modes = (_Functions(self), _Operators(self)) if names else ()
        self._profile = sys.getprofile()

    def hit(self, name: str) -> None:
        """Raise if `name` is forbidden."""
        if name in self.names:
            self.fired.append(name)
            raise ForbiddenCall(name)

    def __enter__(self) -> "Watch":
        for mode in self._modes:
            mode.__enter__()
        if any("." in name for name in self.names):
            sys.setprofile(self._called)
        return self

    def _called(self, frame: FrameType, event: str, _: Any) -> None:
        # Python calls this at every call: the only way to see a plain function whatever name it goes by.
        if event == "call":
            self.hit(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}")

    def __exit__(self, *error: Any) -> None:
        sys.setprofile(self._profile)
        for mode in reversed(self._modes):
            mode.__exit__(*error)


class _Functions(TorchFunctionMode):
    # Sees torch.softmax, F.softmax, x.softmax, and any alias of them: the object is the same.
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.watch.hit(getattr(func, "__name__", "").removeprefix("special_"))
        return func(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):
    # Sees the operators below: scripted code and torch.ops reach these without passing a Python function.
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        operator = func.overloadpacket.__name__.lstrip("_")
        for name in self.watch.names:
            if operator.startswith(_OPERATORS.get(name, name)):
                self.watch.hit(name)
        return func(*args, **(kwargs or {}))
