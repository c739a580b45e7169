"""The still picture of the concept card on speculative decoding."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from source.plots import BLUE, ORANGE


def speculative() -> Figure:
    """Six tokens, two bars each: the draft's probability and the target's, solid as far as both reach, pale above.
    Below each token how often it is kept once proposed. On the right, tokens per step of the target against the share
    of proposals accepted, for one, four and eight proposals: the curves bend upward and end at two, five and nine."""
    p, q = torch.tensor([0.37, 0.26, 0.15, 0.12, 0.07, 0.03]), torch.tensor([0.19, 0.41, 0.1, 0.05, 0.15, 0.1])
    shared, kept = torch.minimum(p, q), (p / q).clamp(max=1)
    accepted = shared.sum()
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.9), layout="constrained", width_ratios=[1.5, 1])
    places = torch.arange(len(p))
    for side, heights, colour, name in ((-0.2, q, ORANGE, "q, the draft"), (0.2, p, BLUE, "p, the target")):
        left.bar(places + side, shared, 0.36, color=colour, label=name)
        left.bar(places + side, heights - shared, 0.36, bottom=shared, color=colour, alpha=0.35, edgecolor=colour)
    left.set_xticks(places, [f"{token}\n{share:.0%}" for token, share in zip("ABCDEF", kept, strict=True)])
    left.set(
        xlabel="below each token: how often it is kept",
        ylabel="probability",
        title=f"{accepted:.0%} of proposals are accepted",
    )
    left.legend()
    rate = torch.linspace(0, 0.999, 200)
    for proposals, style in ((8, "-"), (4, "--"), (1, ":")):
        right.plot(
            rate,
            (1 - rate ** (proposals + 1)) / (1 - rate),
            style,
            label=f"{proposals} proposal{'s' * (proposals > 1)}",
        )
    right.plot([accepted], [(1 - accepted**5) / (1 - accepted)], "o", color=ORANGE)
    right.set(xlabel="share accepted", ylabel="tokens a step", xlim=(0, 1), ylim=(0, 9.3))
    right.legend()
    return fig
