"""Draws the figures of the page on data processing, from the course's corpus where they measure. It loads no model."""

import re
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch.nn import functional as F

from book.drawing import blank, ink
from source.corpus import shakespeare, speeches
from source.data_pipeline.packing import first_fit, packed_mask, packed_positions, packed_targets
from source.data_pipeline.targets import IGNORED
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, SKY, heatmap

COLOURS = (BLUE, ORANGE, GREEN, PINK, RED, SKY)
LENGTHS = (7, 3, 10, 2, 6, 4)  # six documents, in tokens


def _cell(ax: Axes, x: float, y: float, colour: str | None) -> None:
    # A token of a document; without a colour, padding.
    if colour is None:
        ax.add_patch(Rectangle((x, y), 1, 0.8, fill=False, edgecolor=plt.rcParams["grid.color"], lw=0.9, hatch="////"))
    else:
        ax.add_patch(Rectangle((x, y), 1, 0.8, facecolor=colour, edgecolor=plt.rcParams["figure.facecolor"], lw=1))


def three_ways() -> Figure:
    """The same six documents in three layouts, one coloured cell a token. Padded: six rows, each as wide as the
    longest document, about half of the cells hatched as padding. Cut: one stream in rows of eight, no padding, and
    documents run on from row to row. Packed: rows of twelve, documents whole, a few hatched cells at the ends.
    """
    fig, (pad, cut, pack) = plt.subplots(3, 1, figsize=(6.5, 7.4), height_ratios=(6, 4, 3))
    longest, window, wide = max(LENGTHS), 8, 12
    for row, (n, colour) in enumerate(zip(LENGTHS, COLOURS, strict=True)):
        for t in range(longest):
            _cell(pad, t, -row, colour if t < n else None)
    stream = [colour for n, colour in zip(LENGTHS, COLOURS, strict=True) for _ in range(n)]
    for place, colour in enumerate(stream):
        _cell(cut, place % window, -(place // window), colour)
    rows = first_fit(LENGTHS, wide)
    for row, members in enumerate(rows):
        cells = [COLOURS[member] for member in members for _ in range(LENGTHS[member])]
        for t in range(wide):
            _cell(pack, t, -row, cells[t] if t < len(cells) else None)
    total = sum(LENGTHS)
    for ax, count, places, title in (
        (pad, len(LENGTHS), len(LENGTHS) * longest, "padded"),
        (cut, -(-total // window), total, "cut from a stream"),
        (pack, len(rows), len(rows) * wide, "packed"),
    ):
        blank(ax, 12.2, 1)
        ax.set_ylim(0.3 - count, 1)
        ax.set_aspect("equal", adjustable="box", anchor="W")
        ax.set_title(f"{title}: {total} tokens in {places} places", loc="left", fontsize=11)
    fig.tight_layout()
    return fig


def packed_row() -> Figure:
    """One packed row of ten places: three documents, to be or, not to, be that is, in three colours, and two places of
    padding. Above, a table of ids, targets, positions and segments. Below, the ten by ten mask: three triangles along
    the diagonal, nothing else.
    """
    words = ["to", "be", "or", "not", "to", "be", "that", "is", "", ""]
    ids = torch.arange(10)[None]
    segments = torch.tensor([[1, 1, 1, 2, 2, 3, 3, 3, 0, 0]])
    targets, positions = packed_targets(ids, segments)[0], packed_positions(segments)[0]
    fig, (top, low) = plt.subplots(2, 1, figsize=(6.5, 6.6), height_ratios=(1.5, 3), layout="constrained")
    blank(top, 12.4, 4.4)
    for line, (name, texts) in enumerate(
        (
            ("ids", [word or "pad" for word in words]),
            ("targets", ["–" if t == IGNORED else words[t] for t in targets.tolist()]),
            ("positions", [str(p) for p in positions.tolist()]),
            ("segments", [str(s) for s in segments[0].tolist()]),
        )
    ):
        y = 3.9 - line
        top.text(2.1, y, name, ha="right", va="center", fontsize=11)
        for t, text in enumerate(texts):
            segment = int(segments[0, t])
            colour = COLOURS[segment - 1] if segment else plt.rcParams["grid.color"]
            top.add_patch(Rectangle((2.35 + t, y - 0.4), 0.94, 0.8, facecolor=colour, alpha=0.3, edgecolor="none"))
            top.text(2.82 + t, y, text, ha="center", va="center", fontsize=10)
    labels = [word or "pad" for word in words]
    heatmap(low, packed_mask(segments)[0].numpy(), labels, labels)
    low.set_aspect("equal")
    low.set(xlabel="may be seen", ylabel="looks")
    return fig


def _runs(text: str) -> np.ndarray:
    # A hash of each run of 32 bytes, by doubling: a run of 2n is two runs of n.
    hashed = np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(np.uint64)
    for n in (1, 2, 4, 8, 16):
        hashed = (hashed[:-n] * np.uint64(0x9E3779B97F4A7C15)) ^ (hashed[n:] + (hashed[n:] >> np.uint64(7)))
    return hashed


def seen_by_split() -> Figure:
    """Two panels of bars over three ways to split the plays: by whole plays, by speeches at random, by overlapping
    windows at random. Left, the share of the validation text that also stands in training word for word: zero, zero,
    and more than half. Right, the share of validation words that training never uses: largest by far for whole plays.
    """
    text = shakespeare("validation") + shakespeare("train")[:400_000]
    rng = np.random.default_rng(0)
    parts = speeches(text)
    held = rng.random(len(parts)) < 0.5  # halves, so that all three have about as much to learn from
    starts = np.arange(0, len(text) - 256, 128)  # each window overlaps the next by half
    held_windows = rng.random(len(starts)) < 0.5
    splits = {
        "whole plays": (shakespeare("train")[:400_000], shakespeare("validation")),
        "speeches": tuple("\n\n".join(p for p, h in zip(parts, held, strict=True) if h == w) for w in (False, True)),
        "overlapping\nwindows": tuple(
            "\n".join(text[s : s + 256] for s in starts[held_windows == w]) for w in (False, True)
        ),
    }
    copied, new = [], []
    for train, valid in splits.values():
        copied.append(100 * np.isin(_runs(valid), _runs(train)).mean())
        known = set(re.findall(r"[a-z']+", train.lower()))
        words = re.findall(r"[a-z']+", valid.lower())
        new.append(100 * sum(word not in known for word in words) / len(words))
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.5))
    for ax, values, label in (
        (axes[0], copied, "validation text that is also\nin training (%, runs of 32 bytes)"),
        (axes[1], new, "validation words that training\nnever uses (%)"),
    ):
        bars = ax.bar(range(3), values, 0.6, color=(BLUE, ORANGE, RED))
        ax.bar_label(bars, [f"{value:.1f}" for value in values], padding=2)
        ax.set_xticks(range(3), list(splits), fontsize=10)
        ax.set(ylabel=label, ylim=(0, 1.15 * max(values)))
    fig.tight_layout()
    return fig


CONTEXT, BATCH, STEPS = 8, 256, 240


def _losses(contexts: torch.Tensor, targets: torch.Tensor, order: torch.Tensor, valid: tuple) -> np.ndarray:
    """Training and validation loss of a small network that foretells a byte from the eight before it.

    contexts (N, 8) and targets (N,): all there is. order (STEPS, BATCH): what each step takes. Returns (2, STEPS / 8).
    """
    torch.manual_seed(0)
    table = torch.nn.Embedding(128, 12)
    net = torch.nn.Sequential(torch.nn.Linear(12 * CONTEXT, 128), torch.nn.GELU(), torch.nn.Linear(128, 128))
    optimizer = torch.optim.AdamW([*table.parameters(), *net.parameters()], lr=4e-3)
    curves = []
    for step, chosen in enumerate(order):
        loss = F.cross_entropy(net(table(contexts[chosen]).flatten(1)), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 8 == 7:
            with torch.no_grad():
                other = F.cross_entropy(net(table(valid[0]).flatten(1)), valid[1])
            curves.append((loss.item(), other.item()))
    return np.array(curves).T


@cache  # both themes show the same runs
def _bugs() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    ids = {
        part: torch.tensor(list(shakespeare(part)[:600_000].encode("ascii", "replace")))
        for part in ("train", "validation")
    }
    view = {part: run.unfold(0, CONTEXT + 1, 1) for part, run in ids.items()}  # (N, 9)
    contexts, targets = view["train"][:, :-1], view["train"][:, -1]
    some = view["validation"][:: len(view["validation"]) // 1000]
    valid = (some[:, :-1], some[:, -1])
    generator = torch.Generator().manual_seed(1)
    shuffled = torch.randperm(len(contexts), generator=generator)[: STEPS * BATCH].view(STEPS, BATCH)
    again = shuffled[:20].repeat(STEPS // 20, 1)  # the run dies every 20 steps and starts its order anew
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # matrices this small gain nothing from more
    try:
        runs = {
            "targets not shifted": _losses(contexts, contexts[:, -1], shuffled, (valid[0], valid[0][:, -1])),
            "not shuffled": _losses(contexts, targets, torch.arange(STEPS * BATCH).view(STEPS, BATCH), valid),
            "restarts from the beginning": _losses(contexts, targets, again, valid),
        }
        healthy = _losses(contexts, targets, shuffled, valid)
    finally:
        torch.set_num_threads(threads)
    return healthy, runs


def bugs_in_curves() -> Figure:
    """Three panels of loss against step for a small network on Shakespeare's bytes, with a healthy run as thin
    lines. Targets not shifted: the loss falls to zero within a few steps. Not shuffled: the training loss jumps up and
    down and the validation loss stays higher. Restarts at the beginning: the training loss falls below that of the
    healthy run while the validation loss turns upward.
    """
    healthy, runs = _bugs()
    steps = 8 * np.arange(1, STEPS // 8 + 1)
    fig, axes = plt.subplots(3, 1, figsize=(6.5, 7.2), sharex=True, sharey=True)
    for ax, (name, (train, other)) in zip(axes, runs.items(), strict=True):
        ax.plot(steps, healthy[0], color=ink(), lw=0.8, alpha=0.6, label="healthy, training")
        ax.plot(steps, healthy[1], color=ink(), lw=1.2, ls=":", label="healthy, validation")
        ax.plot(steps, train, color=BLUE, lw=1.4, label="training")
        ax.plot(steps, other, color=RED, lw=1.8, ls="--", label="validation")
        ax.set_title(name, fontsize=11, loc="left")
        ax.set(ylabel="loss (nats a byte)", ylim=(0, 4))
        ax.grid(axis="y", lw=0.6)
    axes[0].legend(fontsize=9, ncols=2, loc="upper right")
    axes[-1].set_xlabel("training step")
    fig.tight_layout()
    return fig
