"""The still picture of the concept card on routing in a mixture of experts."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from source.plots import BLUE, GREEN, ORANGE, PINK, RED


def moe_routing() -> Figure:
    """16 tokens, each in the row of its likeliest of four experts, which take four tokens each, up to a dark line.

    Expert 0 is chosen by seven tokens and drops three of them, crossed; experts 1 and 3 have empty slots.
    """
    t, j, e = torch.arange(16.0)[:, None], torch.arange(2.0)[None, :], torch.arange(4.0)
    tokens = torch.sin(0.6 + 2.3 * t * (j + 1) + 1.1 * j)  # (T, 2)
    router = torch.stack([torch.cos(0.6 + e * torch.pi / 2), torch.sin(0.6 + e * torch.pi / 2)])  # (2, E)
    chosen = (tokens @ router).softmax(-1).argmax(-1)  # (T,)
    capacity = 16 // 4
    fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
    for expert, colour in enumerate((BLUE, ORANGE, GREEN, PINK)):
        routed = (chosen == expert).nonzero().flatten().tolist()
        for slot in range(max(capacity, len(routed))):
            out = slot >= capacity
            full = slot < len(routed)
            face = colour if full and not out else "none"
            ax.add_patch(plt.Rectangle((slot + 0.05, expert - 0.35), 0.9, 0.7, facecolor=face, alpha=0.4))
            edge = RED if out else "gray"
            ax.add_patch(plt.Rectangle((slot + 0.05, expert - 0.35), 0.9, 0.7, fill=False, edgecolor=edge))
            if full:
                ax.text(slot + 0.5, expert, str(routed[slot]), ha="center", va="center")
            if out:
                ax.plot([slot + 0.1, slot + 0.9], [expert + 0.3, expert - 0.3], color=RED)
    ax.axvline(capacity, color=plt.rcParams["text.color"], linewidth=2.5)
    ax.text(capacity + 0.1, -0.65, "capacity", fontsize=9, va="center")
    ax.set(
        xlim=(-0.1, 8), ylim=(3.6, -0.9), xticks=[], yticks=range(4), xlabel="tokens in the order in which they come"
    )
    ax.set_yticklabels([f"expert {n}" for n in range(4)])
    return fig
