"""Looks at gradients: which gain keeps them alive, how large they are at each module, whether a backward pass is right.

It changes no gradient and trains nothing. Letters: T queries, S keys, D head width; "..." any dimensions in front.

- Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, section 4.2.
- He et al. (2015), Delving Deep into Rectifiers, section 2.2: the gain of a rectifier, forward and backward.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from source.attention.dot_product import attention


def standard_normal(points: int = 4000, reach: float = 8.0) -> tuple[Tensor, Tensor]:
    """A standard normal variable as a table: points z (points,) and their shares (points,), which sum to 1, in float64.

    The points are the middles of equal steps, so that none falls on a kink at 0 or at another whole step.
    """
    step = 2 * reach / points
    z = -reach + step * (torch.arange(points, dtype=torch.float64) + 0.5)
    shares = torch.exp(-z.square() / 2)
    return z, shares / shares.sum()


def gains(activation: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """The gains that keep the size of signals, and of gradients, through a layer activation(W h).

    W has independent entries of variance gain² / C. Forward: 1 / √E[a(z)²], with z standard normal. Backward:
    1 / √E[a'(z)²], infinite where the activation lets no gradient through. For a rectifier both are √2.
    """
    z, shares = standard_normal()
    z = z.requires_grad_()
    a = activation(z)
    (slope,) = torch.autograd.grad(a.sum(), z)
    sizes = [(shares * part.square()).sum().sqrt().item() for part in (a.detach(), slope)]
    return tuple(1 / size if size else math.inf for size in sizes)


def output_gradients(model: nn.Module, names: Sequence[str], run: Callable[[], object]) -> dict[str, list[float]]:
    """Norms of the gradients of some modules' outputs: for each name a list, one entry for each call, in forward order.

    names: as in `named_modules`; each module returns one tensor. run: does a forward and a backward pass, or several.
    A call that no gradient reached has norm 0. All hooks are gone afterwards, also when run raises.
    """
    norms: dict[str, list[float]] = {name: [] for name in names}
    handles = []

    def watch(name: str):
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            place = len(norms[name])
            norms[name].append(0.0)

            def keep(gradient: Tensor) -> None:  # returns nothing: a hook that returns a tensor replaces the gradient
                norms[name][place] = gradient.norm().item()

            if output.requires_grad:
                output.register_hook(keep)

        return hook

    try:
        for name in names:
            handles.append(model.get_submodule(name).register_forward_hook(watch(name)))
        run()
    finally:
        for handle in handles:
            handle.remove()
    return norms


def attention_gradients(
    Q: Tensor, K: Tensor, V: Tensor, upstream: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `source.attention.dot_product.attention`'s output, without autograd.

    Q: (..., T, D). K: (..., S, D). V: (..., S, E). upstream: (..., T, E). mask: bool, broadcasts to (..., T, S), True =
    may be seen. Returns dQ, dK, dV in the shapes of Q, K, V.
    """
    _, P = attention(Q, K, V, mask)  # (..., T, S)
    dP = upstream @ V.transpose(-2, -1)  # (..., T, E) @ (..., E, S) -> (..., T, S)
    dS = P * (dP - (P * dP).sum(dim=-1, keepdim=True))  # where P is 0, masked keys among them, nothing passes
    scale = 1 / math.sqrt(Q.shape[-1])
    return scale * dS @ K, scale * dS.transpose(-2, -1) @ Q, P.transpose(-2, -1) @ upstream


def attention_gradients_naive(
    Q: Tensor, K: Tensor, V: Tensor, upstream: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """`attention_gradients` by autograd."""
    leaves = [a.detach().requires_grad_() for a in (Q, K, V)]
    return torch.autograd.grad(attention(*leaves, mask)[0], leaves, upstream)


def numerical_gradient(
    f: Callable[..., Tensor], inputs: Sequence[Tensor], n: int, upstream: Tensor, h: float
) -> Tensor:
    """The gradient of (f(*inputs) · upstream) with respect to inputs[n] by central differences: inputs[n]'s shape.

    Two calls of f for each entry. The error of the difference falls with h², that of rounding grows with 1/h.
    """
    x = inputs[n].detach()
    gradient = torch.zeros_like(x)
    for place in range(x.numel()):
        ends = []
        for step in (h, -h):
            moved = x.clone().contiguous()
            moved.view(-1)[place] += step
            with torch.no_grad():
                out = f(*(moved if m == n else other.detach() for m, other in enumerate(inputs)))
            ends.append((out * upstream).sum())
        gradient.view(-1)[place] = (ends[0] - ends[1]) / (2 * h)
    return gradient


def wrong_gradients(
    f: Callable[..., Tensor], inputs: Sequence[Tensor], h: float = 1e-6, tolerance: float = 1e-5
) -> list[int]:
    """Which inputs' gradients are not the derivative of what f computes: their indices, in order.

    f: differentiable, inputs in float64 -> a tensor. A gradient is wrong where it differs from the central difference
    by more than tolerance * (1 + |difference|). The output's gradient is random: a constant one is blind to every fault
    that cancels in a sum, in a softmax for instance. Raises TypeError for inputs that are not float64.
    """
    if any(x.dtype != torch.float64 for x in inputs):
        raise TypeError("finite differences need float64: in float32 rounding alone costs half of the digits")
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    out = f(*leaves)
    upstream = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(0))
    found = [None] * len(leaves)  # an output cut off from all inputs
    if out.requires_grad:
        found = torch.autograd.grad(out, leaves, upstream, allow_unused=True)
    wrong = []
    for n, gradient in enumerate(found):
        right = numerical_gradient(f, inputs, n, upstream, h)
        gradient = torch.zeros_like(right) if gradient is None else gradient
        if ((gradient - right).abs() > tolerance * (1 + right.abs())).any() or not gradient.isfinite().all():
            wrong.append(n)
    return wrong


def parameter_norms(model: nn.Module) -> dict[str, tuple[float, float]]:
    """For each parameter that has a gradient: the norms of the gradient and of the parameter itself."""
    return {
        name: (p.grad.norm().item(), p.detach().norm().item())
        for name, p in model.named_parameters()
        if p.grad is not None
    }
