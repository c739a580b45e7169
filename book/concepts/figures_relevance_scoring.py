"""The still picture of the concept card on scores."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from book.drawing import arrow
from source.attention.dot_product import scaled_scores
from source.plots import BLUE, ORANGE, heatmap


def relevance_scoring() -> Figure:
    """A query and three keys as arrows in a plane, and their three scores: the key that points like the query wins."""
    words = ("it", "the cat", "sat")
    query, keys = torch.tensor([[2.4, 0.6]]), torch.tensor([[0.3, 1.9], [1.6, 1.4], [-1.5, 1.0]])
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.8), layout="constrained")
    for word, key in zip(words, keys.tolist(), strict=True):
        arrow(left, (0, 0), tuple(key), color=ORANGE, lw=2)
        left.text(*key, f" key of {word}", fontsize=9)
    arrow(left, (0, 0), tuple(query[0].tolist()), color=BLUE, lw=2)
    left.text(*query[0].tolist(), " query of it", fontsize=9)
    left.set(xlim=(-2.2, 3.2), ylim=(-0.3, 2.3), xticks=[], yticks=[])
    heatmap(right, scaled_scores(query, keys).numpy(), ["it"], list(words), numbers=True, low=-4, high=4)
    return fig
