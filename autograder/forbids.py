"""Notices calls of library functions that would hand the answer over, whatever name they are called by."""

import importlib
import inspect
import sys
import threading
from collections.abc import Callable
from functools import cache
from types import CodeType, FunctionType
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


_watching: list["Watch"] = []
_bootstrap = threading.Thread._bootstrap_inner


class Watch:
    """Inside `with Watch(names) as watch` a forbidden call raises; `watch.fired` keeps it even if it was caught.

    names: torch functions ("softmax"); the course's own with their full path
    ("source.attention.dot_product.attention", "source.attention.multi_head.MultiHeadAttention.forward"), and torch's
    that are written in Python ("torch.optim.adam.adam", where it is defined, not where it is handed on); or a class of
    another library ("tokenizers.Tokenizer"): all its methods, and importing that library where nothing did so before.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.fired: list[str] = []
        self._modes = (_Functions(self), _Operators(self)) if any("." not in name for name in names) else ()
        plain = ("source.", "autograder.", "torch.")
        self._own = {name: course_function(name) for name in names if name.startswith(plain)}
        self._foreign = [name for name in names if "." in name and name not in self._own]
        self._codes: dict[str, CodeType] = {}
        self._methods: list[tuple[type, str, Any]] = []
        self._imports = _Imports(self)

    def hit(self, name: str) -> None:
        """Raise if `name` is forbidden."""
        if name in self.names:
            self.fired.append(name)
            raise ForbiddenCall(name)

    def __enter__(self) -> "Watch":
        for mode in self._modes:
            mode.__enter__()
        # A plain function is its code, whatever name it goes by. (A profile hook would see the call too, but Python
        # calls such a hook at every call of any function: a case took up to five times as long.)
        for name, function in self._own.items():
            self._codes[name] = function.__code__
            function.__code__ = _raises(name)
        for name in self._foreign:
            self._forbid_class(name)
        if self._imports.names:
            sys.meta_path.insert(0, self._imports)
        if self._modes:
            # torch keeps its modes for each thread apart.
            threading.Thread._bootstrap_inner = self._in_thread(_bootstrap)
        _watching.append(self)
        return self

    def _forbid_class(self, name: str) -> None:
        # Compiled code has no code object to exchange, but its classes let their methods be replaced.
        library, *path = name.split(".")
        if library not in sys.modules:
            self._imports.names.setdefault(library, name)
            return
        kind: Any = sys.modules[library]
        for part in path:
            kind = getattr(kind, part)
        for method, original in list(vars(kind).items()):
            if callable(original) and not method.startswith("__"):
                self._methods.append((kind, method, original))
                setattr(kind, method, lambda *_, **__: self.hit(name))

    def _in_thread(self, bootstrap: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
        def watched(thread: threading.Thread) -> None:
            with _Functions(self), _Operators(self):
                bootstrap(thread)

        return watched

    def __exit__(self, *error: Any) -> None:
        _watching.remove(self)
        threading.Thread._bootstrap_inner = _bootstrap
        if self._imports in sys.meta_path:
            sys.meta_path.remove(self._imports)
        self._imports.names.clear()
        for kind, method, original in reversed(self._methods):
            setattr(kind, method, original)
        self._methods.clear()
        for name, function in self._own.items():
            function.__code__ = self._codes[name]
        for mode in reversed(self._modes):
            mode.__exit__(*error)


def course_function(name: str) -> FunctionType:
    """The function behind a full path, under whatever decorates it. Raises LookupError."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        found = inspect.unwrap(found) if callable(found) else found
        if isinstance(found, FunctionType) and not found.__code__.co_freevars:
            return found
    raise LookupError(f"{name} is no function that can be forbidden: write its module's full name, then its own")


@cache
def _raises(name: str) -> CodeType:
    # Runs with the forbidden function's own globals, so it brings along all it needs.
    space: dict[str, Any] = {}
    exec(f"def f(*_, **__):\n from autograder.forbids import _watching\n _watching[-1].hit({name!r})", space)
    return space["f"].__code__


class _Imports:
    # First among the finders of modules, so that it hears of an import before anything is loaded.
    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.names: dict[str, str] = {}  # library -> the forbidden class of it

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname in self.names:
            self.watch.hit(self.names[fullname])


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
        self.harmless: set[Any] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first operator loads torch's compiler: seconds, and a quarter of a process's memory

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func not in self.harmless:
            operator = func.overloadpacket.__name__.lstrip("_")
            for name in self.watch.names:
                if operator.startswith(_OPERATORS.get(name, name)):
                    self.watch.hit(name)
            self.harmless.add(func)  # a training step calls the same few operators thousands of times
        return func(*args, **(kwargs or {}))
