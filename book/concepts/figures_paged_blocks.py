"""The still picture of the concept card on paged blocks."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from source.plots import BLUE, GREEN, ORANGE

TABLES = {"A": [0, 3], "B": [2], "C": [0, 1]}  # A shared its tokens with C; then A wrote into a copy, block 3
BLOCKS = {0: ["A0", "A1", "A2", "A3"], 1: ["A4", "A5", "C6"], 2: ["B0", "B1", "B2"], 3: ["A4", "A5", "A6"]}


def paged_blocks() -> Figure:
    """Left, the block tables of three sequences; right, eight blocks of four slots, four of them in use.

    A and C both list block 0, which holds their common beginning. Their last blocks are their own: A in block 3 and C
    in block 1 hold the same two tokens and then one that differs.
    """
    colours = {"A": BLUE, "B": ORANGE, "C": GREEN}
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 2.9), layout="constrained", width_ratios=[1, 2.2])
    for row, (name, blocks) in enumerate(TABLES.items()):
        left.text(-0.4, row, name, ha="center", va="center", weight="bold")
        for place, block in enumerate(blocks):
            left.add_patch(plt.Rectangle((place, row - 0.3), 0.9, 0.6, facecolor=colours[name], alpha=0.4))
            left.text(place + 0.45, row, str(block), ha="center", va="center")
    left.set(xlim=(-0.8, 3), ylim=(2.6, -0.8), title="block tables")
    ink = plt.rcParams["text.color"]
    for block in range(8):
        x, y = 4.6 * (block % 2), block // 2
        listed = sum(block in blocks for blocks in TABLES.values())
        right.text(x, y - 0.3, f"{block}: listed twice" if listed > 1 else str(block), fontsize=9, va="bottom")
        width = 2.4 if listed > 1 else 0.8
        right.add_patch(plt.Rectangle((x, y - 0.25), 4, 0.5, fill=False, edgecolor=ink, linewidth=width))
        for slot, token in enumerate(BLOCKS.get(block, [])):
            colour = colours[token[0]]
            right.add_patch(plt.Rectangle((x + slot + 0.05, y - 0.2), 0.9, 0.4, facecolor=colour, alpha=0.4))
            right.text(x + slot + 0.5, y, token, ha="center", va="center", fontsize=9)
    right.set(xlim=(-0.2, 8.8), ylim=(3.4, -0.7), title="memory")
    for ax in (left, right):
        ax.axis("off")
    return fig
