"""Drives a layer that the student wrote: given weights go in, outputs and gradients come out. It judges nothing."""

import torch
from torch import nn

from autograder.acting import WrongType


def loaded(layer: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    """The layer with the given weights. Raises WrongType, naming both, if its parameters have other names or shapes."""
    if not isinstance(layer, nn.Module):
        raise WrongType(f"a {type(layer).__name__} came back, not an nn.Module")
    wanted = {name: tuple(value.shape) for name, value in state.items()}
    found = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    if found != wanted:
        missing = [f"{n} {s}" for n, s in wanted.items() if found.get(n) != s]
        extra = [f"{n} {s}" for n, s in found.items() if wanted.get(n) != s]
        raise WrongType(
            f"the layer's parameters are not the lab's. Missing: {', '.join(missing) or 'none'}. "
            f"Not expected: {', '.join(extra) or 'none'}"
        )
    layer.to(next(iter(state.values())).dtype)
    layer.load_state_dict(state)
    return layer


def gradient(leaf: torch.Tensor) -> torch.Tensor:
    """A leaf's gradient after backward; zeros where nothing reached it."""
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def forward_and_back(layer: nn.Module, x: torch.Tensor, upstream: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """A layer's output on x, and, given the output's gradient, those of x and of every parameter."""
    x = x.detach().requires_grad_(upstream is not None)
    out = layer(x)
    if upstream is None:
        return {"out": out}
    if not isinstance(out, torch.Tensor):
        raise WrongType(f"forward returned a {type(out).__name__}, not a tensor")
    out.backward(upstream)
    grads = {f"gradient of {name}": gradient(p) for name, p in layer.named_parameters()}
    return {"out": out, "gradient of x": gradient(x), **grads}
