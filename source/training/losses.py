"""Cross-entropy as a model needs it, its gradient by hand, label smoothing, reports. It trains nothing.

Letters: N rows (tokens), C model width, V vocabulary; "..." is any number of dimensions in front. Losses are in nats.
A target of IGNORED asks no question: it has loss 0, gradient 0, and does not count.

- Bengio et al. (2003), A Neural Probabilistic Language Model, section 2: the log-likelihood of the next word.
- Szegedy et al. (2016), Rethinking the Inception Architecture, section 7: label smoothing.
- Milakov & Gimelshein (2018), Online normalizer calculation for softmax, section 3: log-sum-exp piece by piece.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from source.data_pipeline.targets import IGNORED


def log_probabilities(logits: Tensor) -> Tensor:
    """Log-softmax: logits (..., V) -> (..., V), in float32, or in float64 for float64.

    The row's largest logit is taken away first, so that no exponential overflows; and the logarithm is taken of the
    sum alone, never of a probability that may have been rounded to zero.
    """
    wide = _wide(logits)
    shifted = (
        wide - wide.amax(dim=-1, keepdim=True).detach()
    )  # the result does not depend on it, so neither do gradients
    return shifted - shifted.exp().sum(dim=-1, keepdim=True).log()


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """What each target costs, in nats: logits (..., V), targets (...) -> (...), 0 where the target is IGNORED.

    In float32, or in float64 for float64 logits. Raises ValueError when the shapes do not fit, or a target is neither
    an id below V nor IGNORED.
    """
    _check(logits, targets)
    counted = targets != IGNORED
    picked = log_probabilities(logits).gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1)  # (..., V) -> (...)
    # Chosen, not multiplied by zero: an ignored place may hold an infinity, and 0 * inf is NaN.
    return torch.where(counted, -picked, 0.0)


def token_losses_naive(logits: Tensor, targets: Tensor) -> Tensor:
    """`token_losses` as the formula reads: -log(exp(x_y) / sum of exp(x)), one row at a time, in the logits' dtype.

    Overflows and underflows: in float32 for logits above 88, and where a probability is below 1e-45.
    """
    _check(logits, targets)
    rows, flat = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1).tolist()
    losses = [
        row.new_zeros(()) if y == IGNORED else -(row.exp() / row.exp().sum())[y].log()
        for row, y in zip(rows, flat, strict=True)
    ]
    return torch.stack(losses).view(targets.shape) if losses else logits.new_zeros(targets.shape)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """The mean loss over the targets that count: a scalar. logits: (..., V). targets: (...).

    smoothing: the share of each target that is spread evenly over all V tokens, the right one included, as in
    torch.nn.functional.cross_entropy. Where nothing counts the loss is 0 and so is its gradient (PyTorch's is NaN).
    Raises ValueError for a smoothing outside [0, 1], and as `token_losses` does.
    """
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing is {smoothing}: give a share between 0 and 1")
    counted = targets != IGNORED
    losses = token_losses(logits, targets)
    if smoothing:
        spread = torch.where(counted, -log_probabilities(logits).mean(dim=-1), 0.0)  # (..., V) -> (...)
        losses = (1 - smoothing) * losses + smoothing * spread
    return losses.sum() / counted.sum().clamp(min=1)


def cross_entropy_gradient(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """The gradient of `cross_entropy` with respect to the logits, without autograd: (..., V), in the logits' dtype.

    Probability minus target, divided by how many targets count; a row of zeros where the target is IGNORED.
    """
    _check(logits, targets)
    V = logits.shape[-1]
    counted = (targets != IGNORED)[..., None]  # (..., 1)
    wanted = torch.full_like(_wide(logits), smoothing / V)
    wanted.scatter_add_(-1, targets.clamp(min=0)[..., None], torch.full_like(wanted[..., :1], 1 - smoothing))
    gradient = torch.where(counted, log_probabilities(logits).exp() - wanted, 0.0)
    return (gradient / counted.sum().clamp(min=1)).to(logits.dtype)


def chunked_losses(x: Tensor, W: Tensor, targets: Tensor, chunk: int) -> Tensor:
    """`token_losses(x @ W.T, targets)` with never more than (N, chunk) logits at a time. For use without gradients.

    x: (N, C). W: (V, C), the head. targets: (N,). Returns (N,), in float32 or, for float64, in float64.
    Raises ValueError for a chunk below 1. With gradients, autograd keeps every chunk: take `chunked_cross_entropy`.
    """
    _check_chunk(chunk)
    x, W = _wide(x), _wide(W)
    total, picked = x.new_full((len(x),), -math.inf), x.new_zeros(len(x))
    for start in range(0, len(W), chunk):
        logits = x @ W[start : start + chunk].T  # (N, C) @ (C, chunk) -> (N, chunk)
        total = torch.logaddexp(total, torch.logsumexp(logits, dim=-1))
        here = (targets >= start) & (targets < start + logits.shape[1])
        picked[here] = logits[here, targets[here] - start]
    return torch.where(targets != IGNORED, total - picked, 0.0)


def chunked_cross_entropy(x: Tensor, W: Tensor, targets: Tensor, rows: int) -> Tensor:
    """`cross_entropy(x @ W.T, targets)` that holds the logits of `rows` tokens at a time, forward and backward.

    x: (N, C). W: (V, C). targets: (N,). Returns a scalar that gradients flow through, to x and to W.
    The logits' gradient is known as soon as the logits are, so it is turned at once into those of x and W, and the
    logits are let go: (rows, V) numbers instead of (N, V). Hsu et al. (2024), Liger Kernel, section 3.2.
    Raises ValueError for rows below 1, and as `token_losses` does.
    """
    _check_chunk(rows)
    _check_head(x, W, targets)
    return _ChunkedCrossEntropy.apply(x, W, targets, rows)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, W: Tensor, targets: Tensor, rows: int) -> Tensor:
        wanted = any(ctx.needs_input_grad)
        dx, dW = (torch.zeros_like(x), torch.zeros_like(W)) if wanted else (None, None)
        total = _wide(x).new_zeros(())
        count = (targets != IGNORED).sum().clamp(min=1)
        for start in range(0, len(x), rows):
            part = slice(start, start + rows)
            logits = x[part] @ W.T  # (rows, C) @ (C, V) -> (rows, V)
            total += token_losses(logits, targets[part]).sum()
            if wanted:
                here = (targets[part] != IGNORED).sum().clamp(min=1)  # `cross_entropy_gradient` divides by this
                slope = cross_entropy_gradient(logits, targets[part]) * (here.to(x.dtype) / count)  # (rows, V)
                dx[part] = slope @ W
                dW += slope.T @ x[part]
        ctx.save_for_backward(dx, dW)
        return total / count

    @staticmethod
    def backward(ctx, upstream: Tensor):
        dx, dW = ctx.saved_tensors
        return upstream.to(dx.dtype) * dx, upstream.to(dW.dtype) * dW, None, None


@dataclass
class Tally:
    """Sums from which every report follows. Add batches of any sizes, in any order; divide once, at the end."""

    nats: float = 0.0
    tokens: int = 0
    bytes: int = 0

    def add(self, losses: Tensor, targets: Tensor, bytes_of: Tensor) -> None:
        """Count one batch. losses, targets: (...). bytes_of: (V,), how many bytes of text each token stands for."""
        counted = targets != IGNORED
        self.nats += losses[counted].double().sum().item()
        self.tokens += int(counted.sum())
        self.bytes += int(bytes_of[targets[counted]].sum())

    @property
    def loss(self) -> float:
        """Nats a token; NaN where nothing was counted: a number would be made up."""
        return self.nats / self.tokens if self.tokens else math.nan

    @property
    def perplexity(self) -> float:
        """exp of the loss: among how many equally likely tokens the model seems to choose."""
        return math.exp(self.loss) if self.tokens else math.nan

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of text, whatever the tokens: the one number that compares different vocabularies."""
        return self.nats / math.log(2) / self.bytes if self.bytes else math.nan


def report(batches: Iterable[tuple[Tensor, Tensor]], bytes_of: Tensor) -> dict[str, float]:
    """Loss (nats a token), perplexity and bits per byte over all batches, each a pair (losses, targets)."""
    tally = Tally()
    for losses, targets in batches:
        tally.add(losses, targets, bytes_of)
    return {"loss": tally.loss, "perplexity": tally.perplexity, "bits per byte": tally.bits_per_byte}


def report_naive(batches: Sequence[tuple[Tensor, Tensor]], bytes_of: Tensor) -> dict[str, float]:
    """`report`, one token at a time."""
    pairs = [p for a, b in batches for p in zip(a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True)]
    pairs = [(loss, target) for loss, target in pairs if target != IGNORED]
    if not pairs:
        return dict.fromkeys(("loss", "perplexity", "bits per byte"), math.nan)
    loss = math.fsum(loss for loss, _ in pairs) / len(pairs)
    length = sum(int(bytes_of[target]) for _, target in pairs)
    return {"loss": loss, "perplexity": math.exp(loss), "bits per byte": loss * len(pairs) / math.log(2) / length}


def _wide(x: Tensor) -> Tensor:
    # A loss near 2 in bfloat16 has steps of 1/64: too coarse to see a model improve.
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _check(logits: Tensor, targets: Tensor) -> None:
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} need targets {tuple(logits.shape[:-1])}, not {tuple(targets.shape)}"
        )
    wrong = targets[(targets != IGNORED) & ((targets < 0) | (targets >= logits.shape[-1]))]
    if wrong.numel():
        raise ValueError(
            f"target {int(wrong[0])} is neither an id below V = {logits.shape[-1]} nor {IGNORED} (ignored)"
        )


def _check_head(x: Tensor, W: Tensor, targets: Tensor) -> None:
    if x.ndim != 2 or W.ndim != 2 or x.shape[1] != W.shape[1] or targets.shape != x.shape[:1]:
        raise ValueError(
            f"x {tuple(x.shape)}, W {tuple(W.shape)} and targets {tuple(targets.shape)} do not fit: "
            "give (N, C), (V, C) and (N,)"
        )


def _check_chunk(chunk: int) -> None:
    if chunk < 1:
        raise ValueError(f"pieces of {chunk}: give a whole number of at least 1")
