"""What surrounds a GPT: its parameters counted, its first weights, a plain loop that writes, a probe of a loss.

Letters: B batch, T positions, C model width, V vocabulary, L layers.

- Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3 (sizes, initialisation).
- Karpathy, nanoGPT, model.py: standard deviation 0.02, and 0.02 / sqrt(2L) where a matrix writes to the stream.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Model = Callable[[Tensor], Tensor]


def parameter_parts(vocabulary: int, context: int, width: int, layers: int) -> dict[str, int]:
    """How many parameters a GPT has, by kind: token, position, attention, feed-forward, norms. The head is tied.

    The number of heads does not matter: they share the same matrices.
    """
    V, C, L = vocabulary, width, layers
    return {
        "token": V * C,
        "position": context * C,
        "attention": L * (C * 3 * C + 3 * C + C * C + C),  # W_qkv and W_o, each with its bias
        "feed-forward": L * (C * 4 * C + 4 * C + 4 * C * C + C),  # W_in and W_out, each with its bias
        "norms": (2 * L + 1) * 2 * C,  # a gain and a shift: two norms a block, and the last one
    }


@torch.no_grad()
def initialise(model: nn.Module) -> None:
    """Draw GPT-2's first weights, in place. The model has `blocks` and names its parameters as `source.models.gpt`.

    Matrices and embeddings: normal, standard deviation 0.02; W_o and W_out, which write to the residual stream,
    0.02 / sqrt(2L). Biases 0; the norms' gains 1.
    """
    writers = ("W_o.weight", "W_out.weight")
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            nn.init.normal_(weight, std=0.02 / ((2 * len(model.blocks)) ** 0.5 if name.endswith(writers) else 1))
        else:
            nn.init.constant_(weight, 0.0 if name.endswith("bias") else 1.0)


def drawn(probabilities: Tensor) -> Tensor:
    """One id from each row of probabilities, by torch's own generator: (B, V) -> (B,)."""
    return torch.multinomial(probabilities, 1)[:, 0]


@torch.no_grad()
def generate(model: nn.Module, ids: Tensor, new: int, temperature: float = 0.0, draw: Model = drawn) -> Tensor:
    """Continue every row by `new` tokens: ids (B, T) -> (B, T + new). The whole window is computed anew for each.

    model: ids (B, T) -> logits (B, T, V), with sizes.context, beyond which it is shown the last tokens alone.
    temperature: the logits are divided by it before softmax; 0 takes the largest. draw: probabilities (B, V) -> (B,).
    """
    for _ in range(new):
        logits = model(ids[:, -model.sizes.context :])[:, -1]  # (B, T, V) -> (B, V)
        following = logits.argmax(-1) if temperature == 0 else draw(torch.softmax(logits / temperature, dim=-1))
        ids = torch.cat([ids, following[:, None]], dim=1)
    return ids


def asked_for(loss_of: Callable[[Model, Tensor], Tensor], rows: Tensor, vocabulary: int) -> Tensor:
    """Which id a training loss asks each position to predict, -1 where it asks for nothing.

    loss_of: called as loss_of(model, rows), calls model(ids) once and returns the loss. rows: what it trains on.
    Returns (B, T), of the shape of the ids that the model was given.

    The gradient of a cross-entropy with respect to the logits is softmax - onehot(target): among equal logits, its one
    negative entry is the target.
    """
    given: list[Tensor] = []

    def model(ids: Tensor) -> Tensor:
        given.append(torch.zeros(*ids.shape, vocabulary, requires_grad=True))
        return given[-1]

    (gradient,) = torch.autograd.grad(loss_of(model, rows), given)
    least, target = gradient.min(dim=-1)  # (B, T, V) -> (B, T)
    return torch.where(least < 0, target, -1)
