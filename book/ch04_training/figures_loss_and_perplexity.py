"""Draws the figures of "Loss and Perplexity"; the losses of a text are those of the course's small model."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from book.drawing import ink
from source.corpus import shakespeare
from source.models.gpt import shipped
from source.plots import BLUE, GREEN, ORANGE, RED
from source.tokenizers.byte_level import ByteLevelBPE
from source.training.losses import token_losses


def surprise() -> Figure:
    """The curve of minus log p over p from 0 to 1: 0 at p = 1, 0.69 at one half, 1.39 at a quarter, and steeply
    upward to the left. On a second axis to the right the same in bits: 0, 1, 2. Three marks are the words of the
    example.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    p = np.linspace(0.005, 1, 400)
    ax.plot(p, -np.log(p), color=BLUE, lw=2)
    for word, probability, place in (("king", 0.5, (8, 6)), ("queen", 0.25, (8, 6)), ("fool", 0.125, (8, 6))):
        ax.plot(probability, -math.log(probability), "o", color=ORANGE, ms=8)
        ax.annotate(
            f"{word}: p = {probability:g}, loss {-math.log(probability):.2f}",
            (probability, -math.log(probability)),
            xytext=place,
            textcoords="offset points",
            fontsize=10,
        )
    ax.set(xlabel="probability that the model gave to what came", ylabel="loss (nats)", xlim=(0, 1.02), ylim=(0, 5.2))
    bits = ax.secondary_yaxis("right", functions=(lambda x: x / math.log(2), lambda x: x * math.log(2)))
    bits.set_ylabel("loss (bits)")
    fig.tight_layout()
    return fig


def mean_of_perplexities() -> Figure:
    """The exponential curve over losses from 0 to 5. Two batches lie on it, at losses 1 and 4, with perplexities
    2.7 and 54.6. The middle of the straight line between them, 28.7, lies far above the curve at the mean loss
    2.5, which is 12.2.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    x = np.linspace(0, 4.4, 200)
    ax.plot(x, np.exp(x), color=BLUE, lw=2, label="perplexity = exp(loss)")
    ends = np.array([1.0, 4.0])
    ax.plot(ends, np.exp(ends), "o--", color=ink(), lw=1.2, ms=7, label="two batches")
    middle = ends.mean()
    ax.plot(
        middle, np.exp(ends).mean(), "^", color=RED, ms=10, label=f"mean of the perplexities: {np.exp(ends).mean():.1f}"
    )
    ax.plot(middle, np.exp(middle), "s", color=GREEN, ms=9, label=f"perplexity of the mean loss: {np.exp(middle):.1f}")
    ax.plot([middle, middle], [np.exp(middle), np.exp(ends).mean()], ":", color=ink(), lw=1.2)
    ax.set(xlabel="mean loss (nats a token)", ylabel="perplexity", ylim=(0, 75))
    ax.legend(loc="upper left")
    fig.tight_layout()
    return fig


def one_text_two_cuts() -> Figure:
    """Losses of one line of a play. Above, a bar for each byte, most of them below 2 nats. Below, the same losses
    summed over the tokens of GPT-2's vocabulary, a bar as wide as its token: fewer and higher bars, with the same
    total.
    """
    model = shipped()
    T = model.sizes.context
    text = shakespeare("validation")[20_000 : 20_000 + 3000]
    ids = torch.tensor(list(text.encode()))[: T + 1]
    with torch.no_grad():
        losses = token_losses(model(ids[None, :-1])[0], ids[1:]).numpy()  # (T,)
    start, shown = 70, 44
    cut = bytes(ids[1:].tolist())
    tokenizer = ByteLevelBPE.gpt2()
    ends = np.cumsum([len(tokenizer.decode_bytes([i])) for i in tokenizer.encode(cut.decode())])
    fig, axes = plt.subplots(2, 1, figsize=(6.8, 4.4), sharex=True)
    letters = [chr(b).replace("\n", "⏎").replace(" ", "␣") for b in cut]
    axes[0].bar(range(T), losses, color=BLUE, width=0.9)
    first = next(e for e in ends if e >= start)
    left, total, count = first, 0.0, 0
    for end in [e for e in ends if first < e <= start + shown]:
        height = losses[left:end].sum()
        axes[1].bar((left + end - 1) / 2, height, width=end - left - 0.1, color=ORANGE)
        total, count, left = total + height, count + 1, end
    n = left - first
    axes[0].set_title(f"{n} bytes: {total:.1f} nats, {total / n:.2f} a byte", fontsize=11)
    axes[1].set_title(f"{count} tokens: {total:.1f} nats, {total / count:.2f} a token", fontsize=11)
    axes[1].set_xticks(range(first, left), letters[first:left], fontsize=9)
    axes[1].set(xlim=(first - 0.7, left - 0.3))
    for ax in axes:
        ax.set_ylabel("loss (nats)")
    fig.tight_layout()
    return fig
