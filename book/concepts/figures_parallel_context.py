"""The still picture of the concept card on parallel positions. The counts behind it are those of data/shakespeare."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from source.plots import heatmap
from source.word_pairs import WORDS, counts

TEXT = ("the", "king", ".", "you", "are", "a")


def weights(T: int, *, mask: bool) -> np.ndarray:
    """Attention's weights (T, S): a step of distance divides the weight by e; later positions are masked."""
    scores = -np.abs(np.subtract.outer(np.arange(T), np.arange(T))).astype(float)
    if mask:
        scores[np.triu_indices(T, 1)] = -np.inf
    raised = np.exp(scores)
    return raised / raised.sum(1, keepdims=True)


def predict(tokens: list[str], *, mask: bool = True) -> np.ndarray:
    """Predictions (T, V): weights times what follows each word in the plays, each count raised by one."""
    raised = counts()[[WORDS.index(token) for token in tokens]] + 1
    return weights(len(tokens), mask=mask) @ (raised / raised.sum(1, keepdims=True))


def parallel_context() -> Figure:
    """A 6 × 6 matrix of weights whose upper triangle is empty: each of six words sees itself and those before it.
    Beside each row the word that the position predicts, and its probability; the last row's is used in decoding."""
    seen = np.where(np.tril(np.ones((6, 6))), weights(6, mask=True), np.nan)
    fig, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    heatmap(ax, seen, TEXT, TEXT, numbers=False)
    for (t, s), weight in np.ndenumerate(seen):
        if not np.isnan(weight):
            ax.text(
                s, t, f"{weight:.2f}", ha="center", va="center", color="white" if weight < 0.5 else "black", fontsize=9
            )
    for t, prediction in enumerate(predict(list(TEXT))):
        best = int(prediction.argmax())
        use = "training and decoding" if t == 5 else "training"
        ax.text(5.7, t, f"→ {WORDS[best]} {prediction[best]:.0%}   ({use})", va="center", fontsize=10)
    ax.set(xlabel="sees", ylabel="position")
    return fig
