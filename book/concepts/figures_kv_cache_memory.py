"""The still picture of the concept card on the cache's memory."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from source.plots import ORANGE


def kv_cache_memory() -> Figure:
    """Size of the cache against tokens for three models in 16 bits, one sequence; a line for Llama 3 8B's weights."""
    tokens = 2 ** np.arange(7, 18)
    fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    models = (("GPT-2 124M", 12, 12, 64), ("Llama 2 7B", 32, 32, 128), ("Llama 3 8B", 32, 8, 128))
    for (name, L, G, D), line in zip(models, (":", "--", "-"), strict=True):
        ax.plot(tokens, 2 * L * G * D * 2 * tokens / 1e9, line, label=name)
    ax.axhline(8030261248 * 2 / 1e9, color=ORANGE, linewidth=1)
    ax.text(130, 8030261248 * 2.3 / 1e9, "weights of Llama 3 8B", fontsize=9)
    ax.set(xscale="log", yscale="log", xlabel="tokens in the sequence", ylabel="cache (GB)")
    ax.legend()
    return fig
